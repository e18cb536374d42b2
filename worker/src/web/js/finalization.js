// FinalizationRegistry for heaps. It calls nobody back, as a garbage collector may choose.
//
// V8's own one ends the process when a heap is stored while something that it was told of has gone and
// nobody was called; and since it calls whenever memory is collected, equal scripts would leave
// different heaps.
(function () {
const { primordials } = __bootstrap;
const {
  FinalizationRegistry: Real,
  FinalizationRegistryPrototypeRegister,
  FinalizationRegistryPrototypeUnregister,
  ObjectDefineProperty,
  ObjectIs,
  SymbolKeyFor,
  SymbolToStringTag,
  WeakMap,
  WeakMapPrototypeDelete,
  WeakMapPrototypeSet,
} = primordials;

function canBeWeak(value) {
  if (typeof value === "symbol") return SymbolKeyFor(value) === undefined;
  return typeof value === "function" || (typeof value === "object" && value !== null);
}

class FinalizationRegistry {
  #real;
  #tokens = new WeakMap();

  // V8's own one is there to say what is wrong.
  constructor(cleanup) {
    this.#real = new Real(cleanup);
  }

  register(target, holdings, ...token) {
    const isRight = canBeWeak(target) && !ObjectIs(target, holdings) &&
      (token[0] === undefined || canBeWeak(token[0]));
    if (!isRight) return FinalizationRegistryPrototypeRegister(this.#real, target, holdings, token[0]);
    if (token[0] !== undefined) WeakMapPrototypeSet(this.#tokens, token[0], true);
  }

  unregister(token) {
    if (!canBeWeak(token)) return FinalizationRegistryPrototypeUnregister(this.#real, token);
    return WeakMapPrototypeDelete(this.#tokens, token);
  }
}
ObjectDefineProperty(FinalizationRegistry.prototype, SymbolToStringTag, {
  __proto__: null,
  value: "FinalizationRegistry",
  configurable: true,
});

return { FinalizationRegistry };
})();
