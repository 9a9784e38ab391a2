//! Elementwise code as machine code: one loop that loads each input once, keeps what lies between in registers, and stores
//! each result once, where a [kernel](super::kernels) for each operation would read and write a tile.
//!
//! Every operation rounds as its kernel does, so that the bits are the same. What has no short instruction sequence
//! (exponentials, powers, results in bytes) stays with its kernel, between the loops. Bytes are widened as they are loaded.
//! On AVX-512 too the loops are of 256 bits: what they wait for is mostly memory.

use super::{
    Binary, Unary,
    assembler::{self as x86, Assembler, Condition, General, Operand, Vector},
    operations::{Op, Operation},
};
use std::{
    collections::{BTreeMap, HashMap, btree_map::Entry},
    sync::Arc,
};

/// Vector registers for values; the others hold the mask of a last, partial vector, and what an operation needs for itself.
const VALUES: Vector = 12;
const MASK: Vector = 12;
const TEMPORARY: [Vector; 3] = [13, 14, 15];
/// General registers for pointers. rdi leads to the slots, rsi counts, rax walks, r11 is free for the moment.
const POINTERS: [General; 10] = [1, 2, 8, 9, 10, 3, 12, 14, 15, 5];
/// Those of them that belong to the caller.
const SAVED: [General; 5] = [3, 5, 12, 14, 15];
/// Lanes of a vector.
const LANES: usize = 8;

/// Predicates of comparisons: equal, less, less or equal (false for NaN), not equal (true for NaN).
const EQ: u8 = 0x00;
const LT: u8 = 0x11;
const LE: u8 = 0x12;
const NE: u8 = 0x04;

#[cfg(target_arch = "x86_64")]
type Function = unsafe extern "sysv64" fn(*const *mut f32, usize);
/// Nothing is compiled for other machines.
#[cfg(not(target_arch = "x86_64"))]
type Function = unsafe extern "C" fn(*const *mut f32, usize);

/// Machine code in memory from which it can run.
#[derive(Debug)]
pub(crate) struct MachineCode(memmap2::Mmap);

impl MachineCode {
    fn new(bytes: &[u8]) -> std::io::Result<MachineCode> {
        let mut memory = memmap2::MmapMut::map_anon(bytes.len())?;
        memory.copy_from_slice(bytes);
        Ok(MachineCode(memory.make_exec()?))
    }

    /// Runs it on `n` elements of the tiles that the slots lead to.
    ///
    /// # Safety
    /// The CPU has AVX2; the slots are those it was compiled for, with `n` elements each, or one for what is uniform. Behind
    /// bytes, a last partial vector reads up to seven more, which a [`Storage`](crate::storage::Storage) of bytes has.
    #[inline(always)]
    pub(crate) unsafe fn run(&self, slots: *const *mut f32, n: usize) {
        // SAFETY: the memory holds code of this type, made by `loop_over`.
        unsafe {
            let code: Function = std::mem::transmute(self.0.as_ptr());
            code(slots, n);
        }
    }
}

/// Some of the operations on a tile.
#[derive(Debug)]
pub(super) enum Piece {
    Kernel(Operation),
    /// Several operations in one loop.
    Loop(Arc<MachineCode>),
}

/// Compiles the code of a plan; the same loop is made once.
#[derive(Default)]
pub(crate) struct Compiler {
    known: HashMap<Vec<u8>, Arc<MachineCode>>,
}

/// Slots of elementwise code.
pub(super) struct Slots {
    /// Slots below are registers in memory, one tile each.
    pub(super) registers: usize,
    /// Slots from here on are uniform; those between are streams.
    pub(super) first_uniform: usize,
    /// Registers in memory that are read when all operations are done.
    pub(super) read: Vec<usize>,
}

impl Compiler {
    /// The operations with loops in place of those that can be compiled.
    pub(super) fn pieces(&mut self, operations: &[Operation], slots: &Slots) -> Vec<Piece> {
        let mut pieces = Vec::new();
        let mut rest = operations;
        while let Some(first) = rest.first() {
            let count = rest.iter().take_while(|o| is_compiled(o.op)).count();
            if count == 0 {
                pieces.push(Piece::Kernel(*first));
                rest = &rest[1..];
                continue;
            }
            let (run, after) = rest.split_at(count);
            self.run(run, after, slots, &mut pieces);
            rest = after;
        }
        pieces
    }

    /// Adds pieces for operations that can all be compiled; in halves, if they need too many registers at once.
    fn run(
        &mut self,
        operations: &[Operation],
        after: &[Operation],
        slots: &Slots,
        pieces: &mut Vec<Piece>,
    ) {
        // A kernel alone is as quick as a loop of one operation.
        if operations.len() > 1 {
            if let Some(code) = self.code(operations, after, slots) {
                pieces.push(Piece::Loop(code));
                return;
            }
            if operations.len() > 3 {
                let (first, second) = operations.split_at(operations.len() / 2);
                let then = [second, after].concat();
                self.run(first, &then, slots, pieces);
                self.run(second, after, slots, pieces);
                return;
            }
        }
        pieces.extend(operations.iter().map(|&o| Piece::Kernel(o)));
    }

    /// `None` if there are too few registers, or the system gives no memory to run from.
    fn code(
        &mut self,
        operations: &[Operation],
        after: &[Operation],
        slots: &Slots,
    ) -> Option<Arc<MachineCode>> {
        let bytes = loop_over(operations, after, slots)?;
        if let Some(code) = self.known.get(&bytes) {
            return Some(code.clone());
        }
        let code = Arc::new(MachineCode::new(&bytes).ok()?);
        self.known.insert(bytes, code.clone());
        Some(code)
    }
}

/// Whether an operation has a short sequence of instructions.
fn is_compiled(op: Op) -> bool {
    match op {
        Op::Unary(f) => matches!(
            f,
            Unary::Negate
                | Unary::Absolute
                | Unary::Reciprocal
                | Unary::Square
                | Unary::Sqrt
                | Unary::Rsqrt
                | Unary::Floor
                | Unary::Not
                | Unary::IsFinite
        ),
        Op::Binary(f) => f != Binary::Power,
        Op::Select | Op::Splat | Op::Copy | Op::Widen => true,
    }
}

/// Whether an operation gives a truth value.
fn is_truth(op: Op) -> bool {
    match op {
        Op::Unary(f) => matches!(f, Unary::Not | Unary::IsFinite),
        Op::Binary(f) => matches!(
            f,
            Binary::Equal
                | Binary::NotEqual
                | Binary::Less
                | Binary::LessEqual
                | Binary::Greater
                | Binary::GreaterEqual
                | Binary::And
                | Binary::Or
        ),
        _ => false,
    }
}

/// Number of operands.
fn count(op: Op) -> usize {
    match op {
        Op::Unary(_) | Op::Splat | Op::Copy | Op::Widen => 1,
        Op::Binary(_) => 2,
        Op::Select => 3,
    }
}

/// The same number in all lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Broadcast {
    /// What a uniform slot leads to.
    Slot(usize),
    /// A number, by its bits.
    Bits(u32),
}

const ZERO: Broadcast = Broadcast::Bits(0);
const ONE: Broadcast = Broadcast::Bits(0x3f80_0000);
const INFINITY: Broadcast = Broadcast::Bits(0x7f80_0000);
const SIGN: Broadcast = Broadcast::Bits(0x8000_0000);
const ALL_BUT_SIGN: Broadcast = Broadcast::Bits(0x7fff_ffff);

/// What an operation reads.
#[derive(Clone, Copy)]
enum Source {
    Value(usize),
    Broadcast(Broadcast),
}

/// A vector that is loaded, or that an operation gives.
struct Value {
    /// The last operation that reads it.
    last: Option<usize>,
    /// All who read it choose by it, and it is not stored: a mask of bits does instead of 0 or 1.
    is_mask: bool,
    register: Vector,
}

/// An operation between registers.
struct Node {
    op: Op,
    /// Values to load first, and the slots they come from.
    loads: Vec<(usize, usize)>,
    from: Vec<Source>,
    value: usize,
    /// The slot that the result is stored to.
    store: Option<usize>,
}

/// The loop over a tile.
struct Loop {
    nodes: Vec<Node>,
    values: Vec<Value>,
    /// Pointers that are followed, and where they are.
    pointers: BTreeMap<usize, General>,
    /// Broadcasts that stay in a register.
    resident: BTreeMap<Broadcast, Vector>,
}

fn loop_over(operations: &[Operation], after: &[Operation], slots: &Slots) -> Option<Vec<u8>> {
    let mut own = Loop::new(operations, after, slots);
    let used = own.assign()?;
    own.settle(used)?;
    own.assemble()
}

impl Loop {
    fn new(operations: &[Operation], after: &[Operation], slots: &Slots) -> Loop {
        // Whether a register in memory is read after these operations.
        let outlives = |slot: usize| {
            for operation in after {
                let from = &operation.from[..count(operation.op)];
                if from.contains(&(slot as u32)) {
                    return true;
                }
                if operation.to as usize == slot {
                    return false;
                }
            }
            slots.read.contains(&slot)
        };
        let mut own = Loop {
            nodes: Vec::new(),
            values: Vec::new(),
            pointers: BTreeMap::new(),
            resident: BTreeMap::new(),
        };
        let mut in_slot: HashMap<usize, usize> = HashMap::new();
        for (number, operation) in operations.iter().enumerate() {
            let mut loads = Vec::new();
            let mut from = Vec::new();
            for (place, &slot) in operation.from[..count(operation.op)].iter().enumerate() {
                let slot = slot as usize;
                if slot >= slots.first_uniform {
                    from.push(Source::Broadcast(Broadcast::Slot(slot)));
                    continue;
                }
                let value = *in_slot.entry(slot).or_insert_with(|| {
                    loads.push((own.values.len(), slot));
                    own.values.push(Value::new());
                    own.values.len() - 1
                });
                own.values[value].last = Some(number);
                own.values[value].is_mask &= operation.op == Op::Select && place == 0;
                from.push(Source::Value(value));
            }
            let to = operation.to as usize;
            let is_last = || operations[number + 1..].iter().all(|o| o.to as usize != to);
            let stored = to >= slots.registers || (is_last() && outlives(to));
            own.values.push(Value::new());
            let value = own.values.len() - 1;
            own.values[value].is_mask = !stored && is_truth(operation.op);
            in_slot.insert(to, value);
            own.nodes.push(Node {
                op: operation.op,
                loads,
                from,
                value,
                store: stored.then_some(to),
            });
        }
        own
    }

    /// Gives each value a register; the number of them that are used, unless there are too few.
    fn assign(&mut self) -> Option<Vector> {
        let mut free: Vec<Vector> = (0..VALUES).rev().collect();
        let mut used = 0;
        let mut take = |free: &mut Vec<Vector>| {
            let register = free.pop()?;
            used = used.max(register + 1);
            Some(register)
        };
        for (number, node) in self.nodes.iter().enumerate() {
            for &(value, _) in &node.loads {
                self.values[value].register = take(&mut free)?;
            }
            // What is read for the last time makes room for the result, which is written last.
            let mut released = Vec::new();
            for source in &node.from {
                if let Source::Value(value) = *source
                    && self.values[value].last == Some(number)
                    && !released.contains(&value)
                {
                    released.push(value);
                    free.push(self.values[value].register);
                }
            }
            free.sort_unstable_by(|a, b| b.cmp(a));
            let register = take(&mut free)?;
            self.values[node.value].register = register;
            if self.values[node.value].last.is_none() {
                free.push(register);
            }
        }
        Some(used)
    }

    /// Gives pointers their registers, and the broadcasts that are used most those that values leave.
    fn settle(&mut self, used: Vector) -> Option<()> {
        let mut uses: BTreeMap<Broadcast, usize> = BTreeMap::new();
        for node in &self.nodes {
            let own = node.from.iter().filter_map(|source| match source {
                Source::Broadcast(broadcast) => Some(*broadcast),
                Source::Value(_) => None,
            });
            own.chain(constants(node.op).iter().copied())
                .for_each(|broadcast| *uses.entry(broadcast).or_default() += 1);
            for slot in node.loads.iter().map(|&(_, slot)| slot).chain(node.store) {
                let next = self.pointers.len();
                if let Entry::Vacant(place) = self.pointers.entry(slot) {
                    place.insert(*POINTERS.get(next)?);
                }
            }
        }
        let mut by_use: Vec<(usize, Broadcast)> = uses.into_iter().map(|(b, n)| (n, b)).collect();
        by_use.sort_unstable_by(|a, b| b.cmp(a));
        self.resident = by_use
            .into_iter()
            .map(|(_, b)| b)
            .zip(used..VALUES)
            .collect();
        Some(())
    }

    fn assemble(&self) -> Option<Vec<u8>> {
        let mut emit = Emitter {
            own: self,
            code: Assembler::default(),
            constants: BTreeMap::new(),
            masked: false,
        };
        let [vectors, tail, done, masks] = [(); 4].map(|()| emit.code.label());
        let saved: Vec<General> = self
            .pointers
            .values()
            .copied()
            .filter(|p| SAVED.contains(p))
            .collect();
        saved.iter().for_each(|&p| emit.code.push(p));
        for (&slot, &pointer) in &self.pointers {
            emit.code.load_pointer(pointer, x86::RDI, offset(slot)?);
        }
        for (&broadcast, &register) in &self.resident {
            emit.broadcast(broadcast, register)?;
        }
        let code = &mut emit.code;
        code.clear(x86::RAX);
        code.add_small(x86::RSI, -(LANES as i8));
        // There may be no whole vector.
        code.compare(x86::RSI, x86::RAX);
        code.jump(Condition::Less, tail);
        code.place(vectors);
        emit.body()?;
        let code = &mut emit.code;
        code.add_small(x86::RAX, LANES as i8);
        code.compare(x86::RAX, x86::RSI);
        code.jump(Condition::NotGreater, vectors);
        code.place(tail);
        code.add_small(x86::RSI, LANES as i8);
        code.compare(x86::RAX, x86::RSI);
        code.jump(Condition::NotLess, done);
        // The mask of the first rsi - rax lanes is a part of eight lanes that are set and eight that are not.
        code.address(x86::R11, masks);
        code.subtract(x86::RSI, x86::RAX);
        code.negate(x86::RSI);
        code.vector(x86::LOAD, MASK, None, Operand::Mask(x86::R11), None);
        emit.masked = true;
        emit.body()?;
        let code = &mut emit.code;
        code.place(done);
        saved.iter().rev().for_each(|&p| code.pop(p));
        code.leave();
        code.align(32);
        code.place(masks);
        code.data([u32::MAX; LANES]);
        code.data([0; LANES]);
        for (bits, label) in emit.constants {
            emit.code.place(label);
            emit.code.data([bits]);
        }
        emit.code.finish()
    }
}

impl Value {
    fn new() -> Value {
        Value {
            last: None,
            is_mask: false,
            register: 0,
        }
    }
}

/// Where in the table a slot's pointer is.
fn offset(slot: usize) -> Option<u32> {
    u32::try_from(8 * slot)
        .ok()
        .filter(|&o| o <= i32::MAX as u32)
}

/// The constants that an operation takes beside its operands.
fn constants(op: Op) -> &'static [Broadcast] {
    match op {
        Op::Unary(Unary::Negate) => &[SIGN],
        Op::Unary(Unary::Absolute) => &[ALL_BUT_SIGN],
        Op::Unary(Unary::Reciprocal | Unary::Rsqrt) => &[ONE],
        Op::Unary(Unary::Not) => &[ZERO, ONE],
        Op::Unary(Unary::IsFinite) => &[ALL_BUT_SIGN, INFINITY, ONE],
        Op::Binary(Binary::And | Binary::Or) => &[ZERO, ONE],
        Op::Binary(_) if is_truth(op) => &[ONE],
        Op::Select => &[ZERO],
        _ => &[],
    }
}

struct Emitter<'a> {
    own: &'a Loop,
    code: Assembler,
    /// Constants behind the code, and their labels.
    constants: BTreeMap<u32, usize>,
    /// Whether loads and stores are those of the last, partial vector.
    masked: bool,
}

impl Emitter<'_> {
    /// The body of the loop.
    fn body(&mut self) -> Option<()> {
        for node in &self.own.nodes {
            for &(value, slot) in &node.loads {
                let to = self.own.values[value].register;
                let pointer = self.own.pointers[&slot];
                if node.op == Op::Widen {
                    // All eight, of which a mask lets the last ones go.
                    let from = Operand::Bytes(pointer);
                    self.code.vector(x86::WIDEN, to, None, from, None);
                    continue;
                }
                let from = Operand::Row(pointer);
                match self.masked {
                    false => self.code.vector(x86::LOAD, to, None, from, None),
                    true => self
                        .code
                        .vector(x86::MASKED_LOAD, to, Some(MASK), from, None),
                }
            }
            self.operation(node)?;
            if let Some(slot) = node.store {
                let from = self.own.values[node.value].register;
                let to = Operand::Row(self.own.pointers[&slot]);
                match self.masked {
                    false => self.code.vector(x86::STORE, from, None, to, None),
                    true => self
                        .code
                        .vector(x86::MASKED_STORE, from, Some(MASK), to, None),
                }
            }
        }
        Some(())
    }

    /// Loads a broadcast.
    fn broadcast(&mut self, broadcast: Broadcast, to: Vector) -> Option<()> {
        let from = match broadcast {
            Broadcast::Slot(slot) => {
                self.code.load_pointer(x86::R11, x86::RDI, offset(slot)?);
                Operand::At(x86::R11)
            }
            Broadcast::Bits(bits) => {
                let code = &mut self.code;
                let label = self.constants.entry(bits).or_insert_with(|| code.label());
                Operand::Label(*label)
            }
        };
        self.code.vector(x86::BROADCAST, to, None, from, None);
        Some(())
    }

    /// A register with a broadcast: its own, or the temporary one.
    fn same(&mut self, broadcast: Broadcast, temporary: Vector) -> Option<Vector> {
        match self.own.resident.get(&broadcast) {
            Some(&register) => Some(register),
            None => {
                self.broadcast(broadcast, temporary)?;
                Some(temporary)
            }
        }
    }

    /// A register with what an operation reads.
    fn source(&mut self, source: Source, temporary: Vector) -> Option<Vector> {
        match source {
            Source::Value(value) => Some(self.own.values[value].register),
            Source::Broadcast(broadcast) => self.same(broadcast, temporary),
        }
    }

    /// `to = opcode(x, y)`
    fn two(&mut self, opcode: x86::Opcode, to: Vector, x: Vector, y: Vector) {
        self.code
            .vector(opcode, to, Some(x), Operand::Register(y), None);
    }

    /// `to = all bits where x and y compare so, else none`
    fn compare(&mut self, to: Vector, x: Vector, y: Vector, predicate: u8) {
        let y = Operand::Register(y);
        self.code
            .vector(x86::COMPARE, to, Some(x), y, Some(predicate));
    }

    /// `to = yes where the mask is set, else no`
    fn blend(&mut self, to: Vector, mask: Vector, yes: Vector, no: Vector) {
        let yes = Operand::Register(yes);
        self.code
            .vector(x86::BLEND, to, Some(no), yes, Some(mask << 4));
    }

    /// From a mask to 0 or 1, unless the mask will do.
    fn truth(&mut self, node: &Node, mask: Vector) -> Option<()> {
        let to = self.own.values[node.value].register;
        if self.own.values[node.value].is_mask {
            self.code
                .vector(x86::COPY, to, None, Operand::Register(mask), None);
        } else {
            let one = self.same(ONE, TEMPORARY[1])?;
            self.two(x86::AND, to, mask, one);
        }
        Some(())
    }

    /// The instructions of an operation; its result is written last.
    fn operation(&mut self, node: &Node) -> Option<()> {
        let to = self.own.values[node.value].register;
        let [t, u, v] = TEMPORARY;
        let x = match node.op {
            Op::Select => 0,
            _ => self.source(node.from[0], v)?,
        };
        match node.op {
            Op::Unary(f) => match f {
                Unary::Negate => {
                    let sign = self.same(SIGN, u)?;
                    self.two(x86::XOR, to, x, sign);
                }
                Unary::Absolute => {
                    let rest = self.same(ALL_BUT_SIGN, u)?;
                    self.two(x86::AND, to, x, rest);
                }
                Unary::Reciprocal => {
                    let one = self.same(ONE, u)?;
                    self.two(x86::DIVIDE, to, one, x);
                }
                Unary::Square => self.two(x86::MULTIPLY, to, x, x),
                Unary::Sqrt => {
                    self.code
                        .vector(x86::SQRT, to, None, Operand::Register(x), None);
                }
                Unary::Rsqrt => {
                    self.code
                        .vector(x86::SQRT, t, None, Operand::Register(x), None);
                    let one = self.same(ONE, u)?;
                    self.two(x86::DIVIDE, to, one, t);
                }
                Unary::Floor => {
                    // Downwards, and without a flag for what was inexact.
                    self.code
                        .vector(x86::ROUND, to, None, Operand::Register(x), Some(9));
                }
                Unary::Not => {
                    let zero = self.same(ZERO, u)?;
                    self.compare(t, x, zero, EQ);
                    self.truth(node, t)?;
                }
                Unary::IsFinite => {
                    let rest = self.same(ALL_BUT_SIGN, u)?;
                    self.two(x86::AND, t, x, rest);
                    let infinity = self.same(INFINITY, u)?;
                    self.compare(t, t, infinity, LT);
                    self.truth(node, t)?;
                }
                _ => return None,
            },
            Op::Binary(f) => {
                let y = self.source(node.from[1], if x == v { u } else { v })?;
                match f {
                    Binary::Add => self.two(x86::ADD, to, x, y),
                    Binary::Subtract => self.two(x86::SUBTRACT, to, x, y),
                    Binary::Multiply => self.two(x86::MULTIPLY, to, x, y),
                    Binary::Divide => self.two(x86::DIVIDE, to, x, y),
                    Binary::Maximum | Binary::Minimum => {
                        // The instruction gives y if either is NaN; what remains is a NaN in x.
                        let opcode = match f {
                            Binary::Maximum => x86::MAXIMUM,
                            _ => x86::MINIMUM,
                        };
                        self.two(opcode, t, x, y);
                        self.compare(u, x, x, NE);
                        self.blend(to, u, x, t);
                    }
                    Binary::And | Binary::Or => {
                        let zero = self.same(ZERO, u)?;
                        self.compare(t, x, zero, NE);
                        self.compare(u, y, zero, NE);
                        let both = match f {
                            Binary::And => x86::AND,
                            _ => x86::OR,
                        };
                        self.two(both, t, t, u);
                        self.truth(node, t)?;
                    }
                    Binary::Greater | Binary::GreaterEqual => {
                        self.compare(t, y, x, if f == Binary::Greater { LT } else { LE });
                        self.truth(node, t)?;
                    }
                    Binary::Equal | Binary::NotEqual | Binary::Less | Binary::LessEqual => {
                        let predicate = match f {
                            Binary::Equal => EQ,
                            Binary::NotEqual => NE,
                            Binary::Less => LT,
                            _ => LE,
                        };
                        self.compare(t, x, y, predicate);
                        self.truth(node, t)?;
                    }
                    Binary::Power => return None,
                }
            }
            Op::Select => {
                let Source::Value(condition) = node.from[0] else {
                    return None;
                };
                let Value {
                    is_mask, register, ..
                } = self.own.values[condition];
                let mask = match is_mask {
                    true => register,
                    false => {
                        let zero = self.same(ZERO, u)?;
                        self.compare(t, register, zero, NE);
                        t
                    }
                };
                let yes = self.source(node.from[1], u)?;
                let no = self.source(node.from[2], v)?;
                self.blend(to, mask, yes, no);
            }
            Op::Splat | Op::Copy => {
                self.code
                    .vector(x86::COPY, to, None, Operand::Register(x), None);
            }
            Op::Widen => {
                self.code
                    .vector(x86::CONVERT, to, None, Operand::Register(x), None);
            }
        }
        Some(())
    }
}
