// expect: completed "https://%C3%BCser:p@xn--exmple-cua.com:8080/a/x?b=2&a=1#f"
const u = new URL("../x?b=2&a=1#f", "https://üser:p@exämple.com:8080/a/b/c"); u.href
