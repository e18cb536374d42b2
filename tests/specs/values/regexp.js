// expect: completed "/a\\/b/giu"
// preview: "/a\\/b/giu"
/a\/b/giu
