// expect: completed "5"
Promise.reject(new Error("x")).catch(() => {}); 5
