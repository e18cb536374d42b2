// SharedArrayBuffer for heaps: V8's own, but each is watched, since V8 stores it as something that is
// neither shared nor of use.
(function () {
const { core, primordials } = __bootstrap;
const {
  ObjectDefineProperty,
  ReflectApply,
  ReflectConstruct,
  ReflectGetOwnPropertyDescriptor,
  SharedArrayBuffer: Real,
  SymbolSpecies,
} = primordials;

function SharedArrayBuffer(...args) {
  if (new.target === undefined) return ReflectApply(Real, undefined, args);
  const buffer = ReflectConstruct(Real, args, new.target);
  core.ops.op_watch_shared_buffer(buffer);
  return buffer;
}
ObjectDefineProperty(SharedArrayBuffer, "length", { __proto__: null, value: 1 });
ObjectDefineProperty(SharedArrayBuffer, SymbolSpecies, ReflectGetOwnPropertyDescriptor(Real, SymbolSpecies));
ObjectDefineProperty(SharedArrayBuffer, "prototype", { __proto__: null, value: Real.prototype, writable: false });
ObjectDefineProperty(Real.prototype, "constructor", { __proto__: null, value: SharedArrayBuffer });

return { SharedArrayBuffer };
})();
