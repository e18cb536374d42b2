// expect: completed "97,195,169,226,130,172,240,159,152,128,239,191,189"
[...new TextEncoder().encode("aé€😀\ud800")].join()
