// Worker threads: each has a V8 heap of its own, reserved in large aligned regions, and code pages
// whose protection changes all the time.
const { Worker, isMainThread, parentPort, workerData } = require('worker_threads');
if (!isMainThread) {
  const shared = new Int32Array(workerData.shared);
  let s = 0;
  for (let i = 0; i < 200000; i++) s = (s * 31 + i * workerData.n) >>> 0;
  const junk = [];
  for (let i = 0; i < 2000; i++) junk.push({ i, text: 'x'.repeat(i % 50) });
  Atomics.add(shared, 0, junk.length);
  parentPort.postMessage({ n: workerData.n, s });
} else {
  const shared = new SharedArrayBuffer(1024);
  Promise.all([1, 2, 3, 4].map((n) => new Promise((done, fail) => {
    const w = new Worker(__filename, { workerData: { n, shared } });
    w.on('message', done); w.on('error', fail);
  }))).then((results) => {
    results.sort((a, b) => a.n - b.n);
    console.log(JSON.stringify(results), new Int32Array(shared)[0]);
    const buffers = [];
    for (let i = 0; i < 20; i++) buffers.push(Buffer.alloc(1 << 20, i));
    console.log(require('crypto').createHash('sha256').update(Buffer.concat(buffers)).digest('hex'));
    const wasm = new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0, 1, 7, 1, 96, 2, 127, 127, 1, 127, 3, 2, 1, 0,
      7, 7, 1, 3, 97, 100, 100, 0, 0, 10, 9, 1, 7, 0, 32, 0, 32, 1, 106, 11]);
    console.log('wasm', new WebAssembly.Instance(new WebAssembly.Module(wasm)).exports.add(40, 2));
    const memory = new WebAssembly.Memory({ initial: 1, maximum: 100 });
    memory.grow(50); console.log('wasm memory', memory.buffer.byteLength);
    process.exitCode = 3;
  });
}
