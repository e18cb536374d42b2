// expect: completed "é€ йЂ あ a😀 你"
const b = new Uint8Array([0xe9, 0x80]); [new TextDecoder("latin1").decode(b), new TextDecoder("windows-1251").decode(b), new TextDecoder("shift_jis").decode(new Uint8Array([0x82, 0xa0])), new TextDecoder("utf-16le").decode(new Uint8Array([0x61, 0, 0x3d, 0xd8, 0, 0xde])), new TextDecoder("gbk").decode(new Uint8Array([0xc4, 0xe3]))].join(" ")
