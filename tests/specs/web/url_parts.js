// expect: completed "https: u p h.example:444 h.example 444 /p/q ?x=1 #z https://h.example:444"
const u = new URL("https://u:p@h.example:444/p/q?x=1#z"); [u.protocol, u.username, u.password, u.host, u.hostname, u.port, u.pathname, u.search, u.hash, u.origin].join(" ")
