// expect: failed memory
const keep = []; function more() { keep.push({}, {}); Promise.resolve().then(more); Promise.resolve().then(more) } more()
