// expect: failed nothing_left_to_wait_for
let a, b; a = (async () => { await null; await b })(); b = (async () => { await a })(); await a
