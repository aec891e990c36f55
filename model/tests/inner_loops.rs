//! What the compiler made of the CPU's kernels, read from this test's own machine code: loops
//! that call nothing, for AVX2 and for AVX-512, whatever this processor has.
//!
//! A closure that is handed to `core`, or a function that isn't inlined, becomes a call for every
//! number, compiled without the wide instructions, and the results are the same. Only speed
//! tells, or the machine code. It needs `nm` and `objdump`, which come with a C compiler.
#![cfg(all(target_arch = "x86_64", target_os = "linux"))]

use std::collections::{BTreeMap, BTreeSet};
use std::hint::black_box;
use std::process::Command;

use rand_chacha::ChaCha12Rng;
use umbel_model::{Classifier, Example, gradient_sum};

/// An instruction: its address, its name and its operands.
struct Instruction {
    address: u64,
    name: String,
    operands: String,
}

impl Instruction {
    /// From a line of `objdump`.
    fn parse(line: &str) -> Option<Self> {
        let (address, text) = line.trim_start().split_once(":\t")?;
        let (name, operands) = text.split_once(' ').unwrap_or((text, ""));
        Some(Self {
            address: u64::from_str_radix(address, 16).ok()?,
            name: name.to_owned(),
            operands: operands.trim().to_owned(),
        })
    }

    /// Where it may jump to.
    fn target(&self) -> Option<u64> {
        let to = self.operands.split_whitespace().next()?;
        self.name
            .starts_with('j')
            .then(|| u64::from_str_radix(to, 16).ok())?
    }
}

/// A function that `pulp` compiled for a set of instructions.
struct Kernel {
    symbol: String,
    instructions: Vec<Instruction>,
}

impl Kernel {
    /// Its loops: what lies between a jump back and where it goes.
    fn loops(&self) -> Vec<&[Instruction]> {
        let place = |address| {
            self.instructions
                .binary_search_by_key(&address, |each| each.address)
        };
        let jumps = self.instructions.iter().enumerate();
        let backward = jumps.filter_map(|(end, jump)| {
            let start = place(jump.target()?).ok()?;
            (start <= end).then(|| &self.instructions[start..=end])
        });
        backward.collect()
    }

    /// Calls in its loops, but for those of what ends in a panic: where the compiler puts these says nothing.
    fn calls(&self, known: &Panics) -> Vec<String> {
        let instructions = self.loops().into_iter().flatten();
        let calls = instructions.filter(|each| each.name.starts_with("call"));
        calls
            .filter(|call| !known.is_called_by(call))
            .map(|call| format!("{:x}: {} in {}", call.address, call.operands, self.symbol))
            .collect()
    }

    /// Loops that are busy with sums of products: at least so many, and half of what they do.
    fn multiplying(&self, least: usize) -> usize {
        let busy = |body: &&[Instruction]| {
            let products = body.iter().filter(|each| each.name.starts_with("vfmadd"));
            let count = products.count();
            count >= least && 2 * count >= body.len()
        };
        self.loops().iter().filter(|body| busy(body)).count()
    }
}

/// Where the executable keeps the addresses of functions that end in a panic.
struct Panics(BTreeSet<u64>);

/// Whether a symbol's name is that of such a function.
fn panics(name: &str) -> bool {
    name.contains("core9panicking") || name.contains("slice_index_fail")
}

impl Panics {
    /// From `nm`'s names and `objdump`'s relocations.
    fn of(executable: &str) -> Option<Self> {
        let names = run("nm", &["--defined-only", executable])?;
        let number = |text: &str| u64::from_str_radix(text, 16).ok();
        let functions: BTreeSet<u64> = names
            .lines()
            .filter(|line| panics(line))
            .filter_map(|line| number(line.split(' ').next()?))
            .collect();
        let relocations = run("objdump", &["--dynamic-reloc", executable])?;
        let of_panics = relocations.lines().filter_map(|line| {
            let (place, rest) = line.split_once(' ')?;
            let target = number(rest.split_once("*ABS*+0x")?.1)?;
            functions.contains(&target).then(|| number(place))?
        });
        Some(Self(of_panics.collect()))
    }

    fn is_called_by(&self, call: &Instruction) -> bool {
        let place = call.operands.split_once("# ");
        let place = place.and_then(|(_, place)| place.split(' ').next());
        let place = place.and_then(|place| u64::from_str_radix(place, 16).ok());
        place.is_some_and(|place| self.0.contains(&place)) || panics(&call.operands)
    }
}

fn run(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The kernels in this test's executable for `V3` (AVX2) or `V4` (AVX-512); `None` without tools.
fn kernels(level: &str) -> Option<Vec<Kernel>> {
    // So that they are in it: whoever opens a classifier may train it.
    black_box(gradient_sum::<ChaCha12Rng, &[Example]> as *const ());
    black_box(Classifier::load_without_head as *const ());
    let executable = std::env::current_exe().ok()?;
    let executable = executable.to_str()?;
    let symbols = run("nm", &["--defined-only", "--print-size", executable])?;
    let kernels: BTreeMap<&str, (u64, u64)> = symbols
        .lines()
        .filter_map(|line| {
            let [address, size, _, name] = line.split(' ').collect::<Vec<_>>()[..] else {
                return None;
            };
            let parts = ["pulp", "x86", level, "vectorize", "imp"];
            let number = |text| u64::from_str_radix(text, 16).ok();
            let is_kernel = parts.iter().all(|part| name.contains(part));
            is_kernel.then_some((name, (number(address)?, number(size)?)))
        })
        .collect();
    let first = kernels.values().map(|(address, _)| *address).min();
    let first = first.expect("kernels in this executable");
    let beyond = kernels.values().map(|(address, size)| address + size).max();
    let beyond = beyond.expect("kernels in this executable");
    let listing = run(
        "objdump",
        &[
            "--disassemble",
            "--no-show-raw-insn",
            &format!("--start-address={first}"),
            &format!("--stop-address={beyond}"),
            executable,
        ],
    )?;
    let functions = listing.split("\n\n").filter_map(|function| {
        let (heading, body) = function.trim_start().split_once(":\n")?;
        let symbol = heading.split_once('<')?.1.trim_end_matches('>');
        kernels.contains_key(symbol).then(|| Kernel {
            symbol: symbol.to_owned(),
            instructions: body.lines().filter_map(Instruction::parse).collect(),
        })
    });
    Some(functions.collect())
}

const LEVELS: [(&str, &str); 2] = [("V3", "AVX2"), ("V4", "AVX-512")];

#[test]
fn no_loop_of_a_kernel_calls_anything() {
    for (level, name) in LEVELS {
        let Some(kernels) = kernels(level) else {
            eprintln!("skipped: nm and objdump aren't here");
            return;
        };
        let loops: usize = kernels.iter().map(|kernel| kernel.loops().len()).sum();
        assert!(
            kernels.len() >= 10 && loops >= 50,
            "{name}: only {} kernels with {loops} loops were found",
            kernels.len()
        );
        let executable = std::env::current_exe().expect("this program");
        let known = Panics::of(executable.to_str().expect("a name"));
        let known = known.expect("nm and objdump, as before");
        let calls: Vec<String> = kernels.iter().flat_map(|k| k.calls(&known)).collect();
        assert!(
            calls.is_empty(),
            "{name}: calls in loops\n{}",
            calls.join("\n")
        );
    }
}

/// Sums that don't stay in registers are moved to memory and back for each product.
#[test]
fn ghost_norms_do_little_but_multiply() {
    for ((level, name), sums) in LEVELS.into_iter().zip([12, 24]) {
        let Some(kernels) = kernels(level) else {
            eprintln!("skipped: nm and objdump aren't here");
            return;
        };
        let found: usize = kernels.iter().map(|kernel| kernel.multiplying(sums)).sum();
        assert!(found >= 2, "{name}: {found} loops of {sums} products");
    }
}
