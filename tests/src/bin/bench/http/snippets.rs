//! What is run: eight small scripts, each of another kind, and what each comes to.

/// A script and its result.
pub(super) struct Snippet {
    pub(super) code: &'static str,
    pub(super) result: &'static str,
}

/// All of them; a load takes one after another.
pub(super) const SNIPPETS: [Snippet; 8] = [
    // Arithmetic.
    Snippet {
        code: "let a = 0, b = 1; for (let i = 0; i < 40; i++) [a, b] = [b, a + b]; a",
        result: "102334155",
    },
    // Strings.
    Snippet {
        code: "'never odd or even'.split('').reverse().join('').trim().toUpperCase().padEnd(20, '.')",
        result: "NEVE RO DDO REVEN...",
    },
    // Arrays.
    Snippet {
        code: "Array.from({ length: 100 }, (_, i) => i).map(i => i * i).filter(i => i % 3 === 0)
                 .reduce((sum, i) => sum + i, 0)",
        result: "112761",
    },
    // JSON.
    Snippet {
        code: "const order = JSON.parse('{\"items\": [{\"price\": 3, \"count\": 4}, {\"price\": 5, \"count\": 2}]}');
               order.total = order.items.reduce((sum, { price, count }) => sum + price * count, 0);
               JSON.stringify(order)",
        result: r#"{"items":[{"price":3,"count":4},{"price":5,"count":2}],"total":22}"#,
    },
    // Regular expressions.
    Snippet {
        code: r"const text = 'from 2024-02-29 to 2025-03-01, or 2026-13-99';
                [...text.matchAll(/(?<year>\d{4})-(?<month>0\d|1[0-2])-\d{2}/g)]
                  .map(({ groups }) => `${groups.month}/${groups.year}`).join(' ')",
        result: "02/2024 03/2025",
    },
    // Sorting.
    Snippet {
        code: "let seed = 1;
               const numbers = Array.from({ length: 200 }, () => seed = seed * 48271 % 2147483647);
               numbers.sort((a, b) => a - b);
               numbers.every((n, i) => i === 0 || numbers[i - 1] <= n)",
        result: "true",
    },
    // Maps and sets.
    Snippet {
        code: "const counts = new Map();
               for (const word of 'the cat and the dog and the bird'.split(' '))
                 counts.set(word, (counts.get(word) ?? 0) + 1);
               [...new Set(counts.values())].sort().join() + ' of ' + counts.size",
        result: "1,2,3 of 5",
    },
    // Promises.
    Snippet {
        code: "const twice = async n => { await null; return 2 * n; };
               (await Promise.all([1, 2, 3].map(twice))).join('+')",
        result: "2+4+6",
    },
];
