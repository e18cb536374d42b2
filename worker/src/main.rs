//! Scratch.
#![allow(clippy::print_stdout, clippy::print_stderr, clippy::unwrap_used, missing_docs)]
use mcp_v8_worker::runtime::*;
use mcp_v8_protocol::message::ExecutionLimits;
struct H;
impl Host for H {
    fn console(&mut self, t: &str) { print!("{t}"); }
    fn heap_limit_reached(&mut self) -> ! { println!("HEAP"); unsafe { libc::_exit(86) } }
}
fn main() {
    let l = ExecutionLimits { heap_bytes: 8 << 20, buffer_bytes: 8 << 20, cpu_seconds: 10 };
    let src = std::env::args().nth(1).unwrap();
    if let Some(n) = std::env::args().nth(2) {
        let mut cur = None;
        let n: usize = n.parse().unwrap();
        for i in 0..n {
            let t = std::time::Instant::now();
            let mut r = Realm::for_heap(cur.take());
            let a = t.elapsed();
            let o = r.run(&src, &l, Box::new(H));
            let b = t.elapsed();
            let s = r.into_snapshot().unwrap();
            if i < 5 || i % 100 == 0 || i + 1 == n { println!("{i}: {a:?} {:?} {:?} {} {o:?}", b - a, t.elapsed() - b, s.len()); }
            cur = Some(s);
        }
        return;
    }
    let t = std::time::Instant::now();
    let mut r = Realm::for_run();
    let a = t.elapsed();
    println!("{:?}", r.run(&src, &l, Box::new(H)));
    println!("{a:?} {:?}", t.elapsed() - a);
}
