// child_process: spawn, exec, fork with messages, signals.
const cp = require('child_process');
if (process.argv[2] === 'child') {
  process.on('message', (m) => { process.send({ twice: m.x * 2 }, () => process.disconnect()); });
} else {
  console.log(cp.execSync('echo sync').toString().trim());
  console.log('status', cp.spawnSync('sh', ['-c', 'exit 4']).status);
  console.log('signal', cp.spawnSync('sh', ['-c', 'kill -TERM $$']).signal);
  console.log('large', cp.execFileSync('seq', ['1', '20000']).length);
  try { cp.execFileSync('/nonexistent'); } catch (e) { console.log(e.code); }
  const c = cp.fork(__filename, ['child']);
  c.on('message', (m) => console.log('message', m.twice));
  c.on('exit', (code) => {
    console.log('child', code);
    const s = cp.spawn('sleep', ['60']);
    s.on('exit', (code, signal) => console.log('sleep', code, signal));
    s.kill('SIGINT');
  });
  c.send({ x: 21 });
}
