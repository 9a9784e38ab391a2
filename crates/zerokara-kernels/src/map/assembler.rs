//! Machine code for x86-64 with AVX2: the few instructions that [`compile`](super::compile) needs.
//!
//! Encodings are those of Intel's manual, volume 2 ("VEX prefix" in section 2.3); every vector instruction takes the
//! three-byte prefix and 256 bits.

/// A vector register, 0 to 15.
pub(super) type Vector = u8;
/// A general register, by its number in encodings: rax 0, rcx 1, rdx 2, rbx 3, rsi 6, rdi 7, r8 to r15.
pub(super) type General = u8;

pub(super) const RAX: General = 0;
pub(super) const RSI: General = 6;
pub(super) const RDI: General = 7;
pub(super) const R11: General = 11;

/// The second source of an instruction, or the place it writes to.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Register(Vector),
    /// The numbers at `base + 4 * rax`.
    Row(General),
    /// The bytes at `base + rax`.
    Bytes(General),
    /// The number at `base`.
    At(General),
    /// The number, or the numbers, that the label leads to.
    Label(usize),
    /// The numbers at `base + 4 * rsi + 32`.
    Mask(General),
}

/// A vector instruction as it is encoded: number of the opcode's map, mandatory prefix (1 for 66), opcode.
#[derive(Clone, Copy)]
pub(super) struct Opcode(u8, u8, u8);

pub(super) const LOAD: Opcode = Opcode(1, 0, 0x10);
pub(super) const STORE: Opcode = Opcode(1, 0, 0x11);
pub(super) const COPY: Opcode = Opcode(1, 0, 0x28);
pub(super) const SQRT: Opcode = Opcode(1, 0, 0x51);
pub(super) const AND: Opcode = Opcode(1, 0, 0x54);
pub(super) const OR: Opcode = Opcode(1, 0, 0x56);
pub(super) const XOR: Opcode = Opcode(1, 0, 0x57);
pub(super) const ADD: Opcode = Opcode(1, 0, 0x58);
pub(super) const MULTIPLY: Opcode = Opcode(1, 0, 0x59);
pub(super) const CONVERT: Opcode = Opcode(1, 0, 0x5b);
pub(super) const SUBTRACT: Opcode = Opcode(1, 0, 0x5c);
pub(super) const MINIMUM: Opcode = Opcode(1, 0, 0x5d);
pub(super) const DIVIDE: Opcode = Opcode(1, 0, 0x5e);
pub(super) const MAXIMUM: Opcode = Opcode(1, 0, 0x5f);
pub(super) const COMPARE: Opcode = Opcode(1, 0, 0xc2);
pub(super) const BROADCAST: Opcode = Opcode(2, 1, 0x18);
pub(super) const WIDEN: Opcode = Opcode(2, 1, 0x31);
pub(super) const MASKED_LOAD: Opcode = Opcode(2, 1, 0x2c);
pub(super) const MASKED_STORE: Opcode = Opcode(2, 1, 0x2e);
pub(super) const ROUND: Opcode = Opcode(3, 1, 0x08);
pub(super) const BLEND: Opcode = Opcode(3, 1, 0x4a);

/// Conditions of a jump, signed.
#[derive(Clone, Copy)]
pub(super) enum Condition {
    Less = 0xc,
    NotLess = 0xd,
    NotGreater = 0xe,
}

/// Code under construction.
#[derive(Default)]
pub(super) struct Assembler {
    code: Vec<u8>,
    /// Where each label is, once it is known.
    labels: Vec<Option<usize>>,
    /// Distances of 32 bits to labels, to be filled in: where they are, and where they count from.
    fixes: Vec<(usize, usize, usize)>,
}

impl Assembler {
    /// A label that is placed later.
    pub(super) fn label(&mut self) -> usize {
        self.labels.push(None);
        self.labels.len() - 1
    }

    /// The label is here.
    pub(super) fn place(&mut self, label: usize) {
        self.labels[label] = Some(self.code.len());
    }

    /// Numbers as they lie in memory.
    pub(super) fn data(&mut self, numbers: impl IntoIterator<Item = u32>) {
        let bytes = numbers.into_iter().flat_map(u32::to_le_bytes);
        self.code.extend(bytes);
    }

    /// Fills up to a multiple of so many bytes.
    pub(super) fn align(&mut self, to: usize) {
        self.code.resize(self.code.len().next_multiple_of(to), 0xcc);
    }

    /// The finished code; `None` if a label was never placed or is too far.
    pub(super) fn finish(mut self) -> Option<Vec<u8>> {
        for &(at, from, label) in &self.fixes {
            let distance = self.labels[label]? as i64 - from as i64;
            let bytes = i32::try_from(distance).ok()?.to_le_bytes();
            self.code[at..at + 4].copy_from_slice(&bytes);
        }
        Some(self.code)
    }

    /// A distance to a label, counted from `after` bytes behind it.
    fn distance(&mut self, label: usize, after: usize) {
        let at = self.code.len();
        self.fixes.push((at, at + 4 + after, label));
        self.code.extend([0; 4]);
    }

    /// `to = instruction(first, second)`, or a store of `to`; `immediate` is what some take beside. Instructions of one
    /// source take 0 as the first.
    pub(super) fn vector(
        &mut self,
        Opcode(map, prefix, opcode): Opcode,
        to: Vector,
        first: Option<Vector>,
        second: Operand,
        immediate: Option<u8>,
    ) {
        // High bits of the registers, inverted.
        let (index, base) = match second {
            Operand::Register(r) => (0, r),
            Operand::Row(base) | Operand::Bytes(base) | Operand::At(base) => (RAX, base),
            Operand::Mask(base) => (RSI, base),
            Operand::Label(_) => (0, 0),
        };
        let high = |r: u8| !(r >> 3) & 1;
        let first = !first.unwrap_or(0) & 0xf;
        self.code.extend([
            0xc4,
            high(to) << 7 | high(index) << 6 | high(base) << 5 | map,
            first << 3 | 1 << 2 | prefix,
            opcode,
        ]);
        let reg = (to & 7) << 3;
        // A base of rsp's or rbp's number needs more bytes: those two are given for all.
        const SCALE_4: u8 = 2 << 6;
        match second {
            Operand::Register(r) => self.code.push(0xc0 | reg | (r & 7)),
            Operand::Row(base) => {
                let sib = SCALE_4 | RAX << 3 | (base & 7);
                self.code.extend([0x40 | reg | 4, sib, 0]);
            }
            Operand::Bytes(base) => {
                let sib = RAX << 3 | (base & 7);
                self.code.extend([0x40 | reg | 4, sib, 0]);
            }
            Operand::Mask(base) => {
                let sib = SCALE_4 | RSI << 3 | (base & 7);
                self.code.extend([0x40 | reg | 4, sib, 32]);
            }
            Operand::At(base) => {
                // An index of rsp's number means none.
                let sib = 4 << 3 | (base & 7);
                self.code.extend([0x40 | reg | 4, sib, 0]);
            }
            Operand::Label(label) => {
                self.code.push(reg | 5);
                self.distance(label, usize::from(immediate.is_some()));
            }
        }
        self.code.extend(immediate);
    }

    /// `to = [base + offset]`, 64 bits.
    pub(super) fn load_pointer(&mut self, to: General, base: General, offset: u32) {
        let rex = 0x48 | (to >> 3) << 2 | base >> 3;
        self.code
            .extend([rex, 0x8b, 0x80 | (to & 7) << 3 | (base & 7)]);
        self.code.extend(offset.to_le_bytes());
    }

    /// `to = ` address of a label.
    pub(super) fn address(&mut self, to: General, label: usize) {
        self.code
            .extend([0x48 | (to >> 3) << 2, 0x8d, (to & 7) << 3 | 5]);
        self.distance(label, 0);
    }

    /// `register += number`
    pub(super) fn add_small(&mut self, register: General, number: i8) {
        let rex = 0x48 | register >> 3;
        self.code
            .extend([rex, 0x83, 0xc0 | (register & 7), number as u8]);
    }

    /// `to = 0`
    pub(super) fn clear(&mut self, to: General) {
        self.two(0x31, to, to);
    }

    /// `to -= other`
    pub(super) fn subtract(&mut self, to: General, other: General) {
        self.two(0x29, to, other);
    }

    /// Compares `a` with `b`, for the next jump.
    pub(super) fn compare(&mut self, a: General, b: General) {
        self.two(0x39, a, b);
    }

    fn two(&mut self, opcode: u8, to: General, other: General) {
        let rex = 0x48 | (other >> 3) << 2 | to >> 3;
        self.code
            .extend([rex, opcode, 0xc0 | (other & 7) << 3 | (to & 7)]);
    }

    /// `register = -register`
    pub(super) fn negate(&mut self, register: General) {
        let rex = 0x48 | register >> 3;
        self.code.extend([rex, 0xf7, 0xd8 | (register & 7)]);
    }

    pub(super) fn jump(&mut self, condition: Condition, label: usize) {
        self.code.extend([0x0f, 0x80 | condition as u8]);
        self.distance(label, 0);
    }

    pub(super) fn push(&mut self, register: General) {
        self.stack(0x50, register);
    }

    pub(super) fn pop(&mut self, register: General) {
        self.stack(0x58, register);
    }

    fn stack(&mut self, opcode: u8, register: General) {
        if register >= 8 {
            self.code.push(0x41);
        }
        self.code.push(opcode | (register & 7));
    }

    /// Leaves the code.
    pub(super) fn leave(&mut self) {
        // vzeroupper; ret
        self.code.extend([0xc5, 0xf8, 0x77, 0xc3]);
    }
}
