// expect: completed "undefined"
typeof ShadowRealm
