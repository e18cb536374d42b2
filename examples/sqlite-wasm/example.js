// Behind sqlite.js: makes a database, fills it, and asks it something.

const db = new SQLite();
db.exec(`
  CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
  INSERT INTO users (name, age) VALUES ('Alice', 30), ('Bob', 25);
`);
const { lastInsertRowid } = db.run("INSERT INTO users (name, age) VALUES (?, ?)", ["Zoë", 41]);
console.log(`SQLite ${db.query("SELECT sqlite_version() AS version").rows[0].version}, user ${lastInsertRowid}`);
const { rows } = db.query("SELECT id, name, age FROM users WHERE age >= ? ORDER BY age", [30]);
db.close();
JSON.stringify(rows);
