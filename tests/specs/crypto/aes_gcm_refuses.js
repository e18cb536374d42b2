// expect: completed "done | OperationError | OperationError | OperationError | OperationError | OperationError | OperationError | OperationError | OperationError | OperationError | OperationError | TypeError | TypeError"
const out = [];
const hex = (bytes) => Array.from(new Uint8Array(bytes), (b) => b.toString(16).padStart(2, "0")).join("");
const bytes = (hex) => Uint8Array.from(hex.match(/../g) ?? [], (b) => parseInt(b, 16));
const text = (string) => new TextEncoder().encode(string);
const name = async (promise) => { try { await promise; return "done"; } catch (e) { return e.name; } };
const { subtle } = crypto;
const key = await subtle.generateKey({ name: "AES-GCM", length: 256 }, false, ["encrypt", "decrypt"]);
const iv = new Uint8Array(12);
const sealed = new Uint8Array(await subtle.encrypt({ name: "AES-GCM", iv, additionalData: text("head") }, key, text("secret")));
const open = (params, data) => name(subtle.decrypt({ name: "AES-GCM", iv, additionalData: text("head"), ...params }, key, data));
out.push(await open({}, sealed));
for (let i = 0; i < sealed.length; i += 7) {
  const changed = sealed.slice();
  changed[i] ^= 1;
  out.push(await open({}, changed));
}
out.push(await open({ additionalData: text("tail") }, sealed), await open({ iv: new Uint8Array(13) }, sealed));
out.push(await open({}, sealed.slice(0, 15)), await open({}, new Uint8Array(0)), await open({ tagLength: 96 }, sealed));
out.push(await open({ tagLength: 100 }, sealed), await open({ tagLength: 256 }, sealed), await open({ iv: undefined }, sealed));
out.join(" | ");
