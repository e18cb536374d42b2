// expect: completed "windows-1252,utf-8,utf-16le"
[new TextDecoder(" ASCII ").encoding, new TextDecoder("utf8").encoding, new TextDecoder("utf-16").encoding].join()
