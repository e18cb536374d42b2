//! What the number of a system call says alone, as a program that searches in ranges of numbers.

use std::collections::BTreeMap;

use seccompiler::{BpfProgram, sock_filter};

use crate::seccomp::{GO_ON, IS_EQUAL, RETURN};

/// More codes of steps (linux/bpf_common.h): load a word of `struct seccomp_data`, compare.
const LOAD: u16 = 0x20;
const IS_AT_LEAST: u16 = 0x35;
/// Offsets in `struct seccomp_data` (linux/seccomp.h).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;

/// What comes of a call.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    Kill,
    Allow,
    /// EPERM.
    Refuse,
    /// Its arguments say.
    Look,
}

impl Answer {
    /// The kernel's word (linux/seccomp.h).
    const fn action(self) -> u32 {
        match self {
            Self::Kill => 0x8000_0000,
            Self::Allow => 0x7fff_0000,
            Self::Refuse => 0x0005_0001,
            Self::Look => GO_ON,
        }
    }
}

/// Kills for another processor's calls and for numbers without an answer.
pub(crate) fn compile(architecture: u32, answers: &BTreeMap<u32, Answer>) -> BpfProgram {
    let mut program = vec![
        step(LOAD, ARCHITECTURE),
        jump(IS_EQUAL, architecture, 1, 0),
        step(RETURN, Answer::Kill.action()),
        step(LOAD, NUMBER),
    ];
    program.append(&mut search(&ranges(answers)));
    program
}

/// Where an answer begins, which is that of all numbers up to the next.
type Range = (u32, Answer);

/// All numbers, from 0.
fn ranges(answers: &BTreeMap<u32, Answer>) -> Vec<Range> {
    let mut begins = BTreeMap::from([(0, Answer::Kill)]);
    // The next number comes after: its own answer takes the place of the end of the one before.
    for (&number, &answer) in answers {
        begins.extend([(number, answer), (number + 1, Answer::Kill)]);
    }
    let mut ranges: Vec<Range> = begins.into_iter().collect();
    ranges.dedup_by_key(|range| range.1);
    ranges
}

fn search(ranges: &[Range]) -> BpfProgram {
    if let [(_, answer)] = ranges {
        return vec![step(RETURN, answer.action())];
    }
    let (lower, upper) = ranges.split_at(ranges.len() / 2);
    let (mut below, mut above) = (search(lower), search(upper));
    let past = u8::try_from(below.len()).expect("a jump is at most 255 steps long");
    let mut program = vec![jump(IS_AT_LEAST, upper[0].0, past, 0)];
    program.append(&mut below);
    program.append(&mut above);
    program
}

const fn step(code: u16, k: u32) -> sock_filter {
    jump(code, k, 0, 0)
}

const fn jump(code: u16, k: u32, jt: u8, jf: u8) -> sock_filter {
    sock_filter { code, jt, jf, k }
}
