# subprocess: vfork and exec in a process with threads, pipes both ways, signals, preexec_fn.
import os, signal, subprocess, sys, threading

print(subprocess.run(["echo", "hello"], capture_output=True, text=True).stdout.strip())
print(subprocess.run("exit 7", shell=True).returncode)
print(subprocess.run(["sh", "-c", "kill -9 $$"]).returncode)
p = subprocess.Popen(["tr", "a-z", "A-Z"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
out, _ = p.communicate(b"abc " * 100_000)
print(len(out), out[:8])
print(subprocess.run(["sh", "-c", "echo $X"], env={"X": "only"}, capture_output=True).stdout)
print(subprocess.run(["pwd"], cwd="/", preexec_fn=lambda: os.umask(0o77), capture_output=True).stdout)
try:
    subprocess.run(["/nonexistent/program"])
except FileNotFoundError as e:
    print("not found", e.errno)
try:
    subprocess.run(["sleep", "60"], timeout=0.05)
except subprocess.TimeoutExpired:
    print("timed out")

results = []
def storm(n):
    for i in range(5):
        results.append(subprocess.run([sys.executable, "-S", "-E", "-c", f"print({n}*100+{i})"],
                                      capture_output=True, text=True).stdout.strip())
threads = [threading.Thread(target=storm, args=(n,)) for n in range(4)]
[t.start() for t in threads]
[t.join() for t in threads]
print(sorted(map(int, results)))

for i in range(20):
    pid = os.fork()
    if pid == 0:
        os._exit(i)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == i
a = os.posix_spawn("/bin/sh", ["sh", "-c", "exit 5"], {})
print("spawn", os.waitstatus_to_exitcode(os.waitpid(a, 0)[1]))
signal.alarm(60)
