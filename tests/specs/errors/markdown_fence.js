// expect: failed exception
// error: "TypeError"
// error: "is not a function"
// Fences are well-formed JavaScript: template literals that tag each other.
```js
1 + 1
```
