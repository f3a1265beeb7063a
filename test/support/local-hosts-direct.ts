// Loaded by every test run: servers of the tests are on this machine, whatever proxy it goes out through. What tests
// start inherits this.
const direct = '127.0.0.1,localhost';
const others = [process.env.no_proxy, process.env.NO_PROXY].find(Boolean);
process.env.no_proxy = process.env.NO_PROXY = others === undefined ? direct : `${others},${direct}`;
