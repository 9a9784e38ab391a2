//! Makes elementwise code ready: axes merged, operands classified, registers assigned, kernels chosen.

use super::{
    Binary, Code, Instruction, Unary,
    compile::Piece,
    kernels::{self, Kernel},
    operations::{Op, Operation},
    prepared::{Fill, Prepared, Store, Stream, TILE, Use},
};
use crate::{
    access::{Access, MAX_RANK, merge_axes},
    isa::Isa,
    plan::Element,
};

/// Where a value is found.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Value {
    Unused,
    Uniform(usize),
    /// A register, by the number of its definition in `Builder::definitions`.
    Register(usize),
    Stream(usize),
}

/// After all instructions.
const END: usize = usize::MAX;

fn operands(instruction: &Instruction) -> ([usize; 3], usize) {
    match *instruction {
        Instruction::Load(_) | Instruction::Constant(_) => ([0; 3], 0),
        Instruction::Unary(_, x) => ([x, 0, 0], 1),
        Instruction::Binary(_, x, y) => ([x, y, 0], 2),
        Instruction::Select { condition, yes, no } => ([condition, yes, no], 3),
    }
}

/// Says what is wrong with code for so many inputs and results.
pub(crate) fn check_code(code: &Code, inputs: usize, results: usize) -> Result<(), String> {
    for (number, instruction) in code.instructions.iter().enumerate() {
        let (named, count) = operands(instruction);
        if named[..count].iter().any(|&x| x >= number) {
            return Err(format!(
                "instruction {number} names a value that is not yet defined"
            ));
        }
        if let Instruction::Load(i) = instruction
            && *i >= inputs
        {
            return Err(format!("instruction {number} loads input {i} of {inputs}"));
        }
    }
    if code.results.len() != results {
        return Err(format!(
            "the code has {} results for {results} outputs",
            code.results.len()
        ));
    }
    if code.results.iter().any(|&r| r >= code.instructions.len()) {
        return Err("a result names a value that is not defined".into());
    }
    Ok(())
}

/// Which instructions the results need.
fn live(code: &Code) -> Vec<bool> {
    let mut live = vec![false; code.instructions.len()];
    code.results.iter().for_each(|&r| live[r] = true);
    for number in (0..live.len()).rev() {
        if live[number] {
            let (named, count) = operands(&code.instructions[number]);
            named[..count].iter().for_each(|&x| live[x] = true);
        }
    }
    live
}

fn instruction_weight(instruction: &Instruction) -> usize {
    match instruction {
        Instruction::Load(_) | Instruction::Constant(_) => 0,
        Instruction::Unary(f, _) => match f {
            Unary::Exp | Unary::ExpM1 | Unary::Log | Unary::Sin | Unary::Cos => 8,
            Unary::Tanh | Unary::Sigmoid | Unary::Softplus | Unary::Erf => 12,
            Unary::Erfc => 16,
            Unary::Sqrt | Unary::Rsqrt | Unary::Reciprocal => 3,
            _ => 1,
        },
        Instruction::Binary(Binary::Power, ..) => 60,
        Instruction::Binary(Binary::Divide, ..) => 3,
        Instruction::Binary(..) | Instruction::Select { .. } => 1,
    }
}

impl Prepared {
    /// Makes checked code ready. All views have the shape's axes; for [`Use::Read`] there are no outputs.
    pub(crate) fn new(
        isa: Isa,
        shape: &[usize],
        mut inputs: Vec<Access>,
        mut outputs: Vec<Access>,
        code: &Code,
        purpose: Use,
    ) -> Result<Prepared, String> {
        let reads = matches!(purpose, Use::Read { .. });
        let results = if reads {
            code.results.len()
        } else {
            outputs.len()
        };
        check_code(code, inputs.len(), results)?;
        let total: usize = shape.iter().product();
        let live = live(code);
        let loaded = |i: usize| {
            let mut all = code.instructions.iter().zip(&live);
            all.any(|(x, &l)| l && *x == Instruction::Load(i))
        };
        // Inputs that nothing reads must not keep axes apart.
        for (i, input) in inputs.iter_mut().enumerate() {
            if !loaded(i) {
                input.strides.fill(0);
                input.offset = 0;
            }
        }
        let split = inputs.len();
        inputs.append(&mut outputs);
        let rows = match purpose {
            Use::Read { axis } => (axis, shape[axis..].iter().product()),
            Use::Store | Use::StoreRows => (0, 1),
        };
        let together = |before: usize, after: usize| before >= rows.0 || after < rows.0;
        let (shape, _) = merge_axes(shape, &mut inputs, together);
        let outputs = inputs.split_off(split);
        if shape.len() > MAX_RANK {
            return Err(format!("more than {MAX_RANK} axes that cannot be merged"));
        }

        let rows_matter = inputs
            .iter()
            .any(|a| !a.is_uniform() && !a.is_dense(&shape))
            || outputs.iter().any(|a| !a.is_dense(&shape));
        let inner = if rows_matter {
            shape.last().copied().unwrap_or(1)
        } else {
            1
        };
        let row = inner.max(rows.1);
        // Pieces of equal length, whole vectors.
        let pieces = |row: usize| {
            row.div_ceil(row.div_ceil(TILE))
                .next_multiple_of(16)
                .min(TILE)
        };
        let in_rows = inner > TILE || (purpose == Use::StoreRows && inner > 1);
        let (tile, long_row) = if row == 0 || total == 0 {
            (TILE, 0)
        } else if in_rows {
            (pieces(inner), inner)
        } else if row <= TILE {
            (TILE / row * row, 0)
        } else if inner > 1 {
            (TILE / inner * inner, row)
        } else {
            (pieces(row), row)
        };

        let mut builder = Builder {
            isa,
            code,
            shape: &shape,
            in_rows,
            live,
            inputs: &inputs,
            outputs: &outputs,
            long_row,
            values: vec![Value::Unused; code.instructions.len()],
            input_values: vec![None; inputs.len()],
            direct: vec![None; code.instructions.len()],
            definitions: 0,
            streams: Vec::new(),
            fills: Vec::new(),
            operations: Vec::new(),
            stores: Vec::new(),
            constants: Vec::new(),
            uniform_loads: Vec::new(),
            uniform_operations: Vec::new(),
        };
        builder.build();
        let read: Vec<Value> = match reads {
            true => code.results.iter().map(|&r| builder.in_vector(r)).collect(),
            false => Vec::new(),
        };
        Ok(builder.assign(total, tile, &read))
    }
}

struct Builder<'a> {
    isa: Isa,
    code: &'a Code,
    shape: &'a [usize],
    /// Whether tiles stay within one row.
    in_rows: bool,
    live: Vec<bool>,
    inputs: &'a [Access],
    outputs: &'a [Access],
    long_row: usize,
    values: Vec<Value>,
    /// Values of inputs already met.
    input_values: Vec<Option<Value>>,
    /// The output that a value is written to when it is computed.
    direct: Vec<Option<usize>>,
    /// Registers before assignment: each is defined once.
    definitions: usize,
    streams: Vec<(Access, bool)>,
    fills: Vec<(usize, Access)>,
    operations: Vec<Draft>,
    /// Results that are stored at the end of the tile.
    stores: Vec<(Value, Option<Value>, Access)>,
    constants: Vec<f32>,
    uniform_loads: Vec<(usize, Access)>,
    uniform_operations: Vec<Draft>,
}

/// An operation before its operands have slots.
type Draft = (Op, Kernel, Value, [Value; 3]);

impl Builder<'_> {
    fn define(&mut self) -> Value {
        self.definitions += 1;
        Value::Register(self.definitions - 1)
    }

    fn uniform(&mut self, start: f32) -> Value {
        self.constants.push(start);
        Value::Uniform(self.constants.len() - 1)
    }

    fn stream(&mut self, access: &Access, by_rows: bool) -> Value {
        self.streams.push((access.clone(), by_rows));
        Value::Stream(self.streams.len() - 1)
    }

    /// The last instruction that reads each input; [`END`] if it is a result itself.
    fn last_uses(&self) -> Vec<Option<usize>> {
        let mut last = vec![None; self.inputs.len()];
        let loads = |value: usize| match self.code.instructions[value] {
            Instruction::Load(i) => Some(i),
            _ => None,
        };
        for (number, instruction) in self.code.instructions.iter().enumerate() {
            if self.live[number] {
                let (named, count) = operands(instruction);
                for i in named[..count].iter().filter_map(|&x| loads(x)) {
                    last[i] = Some(number);
                }
            }
        }
        for i in self.code.results.iter().filter_map(|&r| loads(r)) {
            last[i] = Some(END);
        }
        last
    }

    /// Which values are the same everywhere.
    fn uniform_values(&self) -> Vec<bool> {
        let mut uniform: Vec<bool> = Vec::with_capacity(self.code.instructions.len());
        for instruction in &self.code.instructions {
            uniform.push(match *instruction {
                Instruction::Constant(_) => true,
                Instruction::Load(i) => self.inputs[i].is_uniform(),
                _ => {
                    let (named, count) = operands(instruction);
                    named[..count].iter().all(|&x| uniform[x])
                }
            });
        }
        uniform
    }

    fn build(&mut self) {
        let (code, outputs, inputs) = (self.code, self.outputs, self.inputs);
        // Which values go straight to an output, and which inputs must be copied because an output in the same place is
        // written before they were read for the last time.
        let last_uses = self.last_uses();
        let uniform = self.uniform_values();
        let mut copied = vec![false; inputs.len()];
        for (o, (&result, output)) in code.results.iter().zip(outputs).enumerate() {
            let computed = operands(&code.instructions[result]).1 > 0 && !uniform[result];
            let straight = computed
                && self.direct[result].is_none()
                && output.element == Element::F32
                && output.is_dense(self.shape);
            if straight {
                self.direct[result] = Some(o);
            }
            let written = if straight { result } else { END };
            for (i, input) in inputs.iter().enumerate() {
                let itself = code.instructions[result] == Instruction::Load(i);
                copied[i] |= input.buffer == output.buffer
                    && input.offset == output.offset
                    && last_uses[i].is_some_and(|last| {
                        last > written || (last == END && written == END && !itself)
                    });
            }
        }

        for (number, &uniform) in uniform.iter().enumerate() {
            if self.live[number] {
                self.values[number] = self.instruction(number, uniform, &copied);
            }
        }

        for (o, &result) in code.results.iter().enumerate().take(outputs.len()) {
            let output = &outputs[o];
            if self.direct[result] == Some(o) {
                continue;
            }
            let value = self.values[result];
            if output.element == Element::F32 && output.is_dense(self.shape) {
                let to = self.stream(output, false);
                let (op, kernel) = if let Value::Uniform(_) = value {
                    (Op::Splat, kernels::splat(self.isa))
                } else {
                    (Op::Copy, kernels::copy())
                };
                self.operations.push((op, kernel, to, [value; 3]));
            } else {
                let value = self.in_vector(result);
                let to = (output.is_dense(self.shape)).then(|| self.stream(output, false));
                self.stores.push((value, to, output.clone()));
            }
        }
    }

    /// The value as a vector, computed once for each tile if it is the same everywhere.
    fn in_vector(&mut self, number: usize) -> Value {
        let value = self.values[number];
        if let Value::Uniform(_) = value {
            let to = self.define();
            self.operations
                .push((Op::Splat, kernels::splat(self.isa), to, [value; 3]));
            return to;
        }
        value
    }

    fn instruction(&mut self, number: usize, uniform: bool, copied: &[bool]) -> Value {
        let instruction = &self.code.instructions[number];
        if let Instruction::Load(i) = *instruction {
            return self.load(i, copied[i]);
        }
        if let Instruction::Constant(x) = *instruction {
            return self.uniform(x);
        }
        let mut from = [Value::Unused; 3];
        let (named, count) = operands(instruction);
        for (from, &x) in from.iter_mut().zip(&named[..count]) {
            *from = self.values[x];
        }
        let first = from[0];
        from[count..].fill(first);
        let vector = |v: Value| uniform || !matches!(v, Value::Uniform(_));
        let (op, kernel) = match *instruction {
            Instruction::Unary(f, _) => (Op::Unary(f), kernels::unary(self.isa, f)),
            Instruction::Binary(Binary::Power, x, y)
                if self.code.instructions[y] == Instruction::Constant(2.0) =>
            {
                from = [self.values[x]; 3];
                let square = Unary::Square;
                (Op::Unary(square), kernels::unary(self.isa, square))
            }
            Instruction::Binary(f, ..) => {
                let kernel = kernels::binary(self.isa, f, vector(from[0]), vector(from[1]));
                (Op::Binary(f), kernel)
            }
            _ => {
                if !vector(from[0]) {
                    from[0] = self.in_vector(named[0]);
                }
                let kernel = kernels::select(self.isa, vector(from[1]), vector(from[2]));
                (Op::Select, kernel)
            }
        };
        if uniform {
            let to = self.uniform(0.0);
            self.uniform_operations.push((op, kernel, to, from));
            return to;
        }
        let to = match self.direct[number] {
            Some(o) => self.stream(&self.outputs[o], false),
            None => self.define(),
        };
        self.operations.push((op, kernel, to, from));
        to
    }

    fn load(&mut self, i: usize, copied: bool) -> Value {
        if let Some(value) = self.input_values[i] {
            return value;
        }
        let access = &self.inputs[i];
        let value = if access.is_uniform() {
            let uniform = self.uniform(0.0);
            self.uniform_loads
                .push((self.constants.len() - 1, access.clone()));
            uniform
        } else if access.is_dense(self.shape) && !(copied && access.element == Element::F32) {
            let stream = self.stream(access, false);
            if access.element != Element::F32 {
                // Widened before any output is written.
                let to = self.define();
                let widen = (Op::Widen, kernels::widen(self.isa), to, [stream; 3]);
                self.operations.insert(0, widen);
                to
            } else {
                stream
            }
        } else if !copied
            && self.in_rows
            && access.element == Element::F32
            && access.strides.last() == Some(&1)
        {
            self.stream(access, true)
        } else {
            let to = self.define();
            let Value::Register(register) = to else {
                return to;
            };
            self.fills.push((register, access.clone()));
            to
        };
        self.input_values[i] = Some(value);
        value
    }

    /// Gives registers to definitions and slots to everything.
    fn assign(self, total: usize, tile: usize, read: &[Value]) -> Prepared {
        let mut last = vec![None; self.definitions];
        for (number, (.., from)) in self.operations.iter().enumerate() {
            for value in from {
                if let Value::Register(r) = value {
                    last[*r] = Some(number);
                }
            }
        }
        let stored = self.stores.iter().map(|(value, ..)| *value);
        for value in stored.chain(read.iter().copied()) {
            if let Value::Register(r) = value {
                last[r] = Some(END);
            }
        }
        let mut register = vec![0; self.definitions];
        let mut registers = 0;
        let mut free: Vec<usize> = Vec::new();
        let mut take = |free: &mut Vec<usize>| {
            free.pop().unwrap_or_else(|| {
                registers += 1;
                registers - 1
            })
        };
        // Filled before the first operation. What repeats from tile to tile must keep its register.
        for (r, access) in &self.fills {
            register[*r] = take(&mut free);
            if access.is_periodic() {
                last[*r] = Some(END);
            }
        }
        for (number, (.., to, from)) in self.operations.iter().enumerate() {
            let mut released: Vec<usize> = Vec::new();
            for value in from {
                if let Value::Register(r) = value
                    && last[*r] == Some(number)
                    && !released.contains(r)
                {
                    released.push(*r);
                    free.push(register[*r]);
                }
            }
            if let Value::Register(r) = to {
                register[*r] = take(&mut free);
                if last[*r].is_none() {
                    free.push(register[*r]);
                }
            }
        }

        let first_stream = registers;
        let first_uniform = first_stream + self.streams.len();
        let slot = |value: Value| match value {
            Value::Unused => 0,
            Value::Register(r) => register[r],
            Value::Stream(s) => first_stream + s,
            Value::Uniform(u) => first_uniform + u,
        };
        let operation = |(op, kernel, to, from): &Draft| Operation {
            op: *op,
            kernel: *kernel,
            to: slot(*to) as u32,
            from: from.map(|value| slot(value) as u32),
        };
        let loads = self.streams.len() + self.fills.len();
        let work = self.code.instructions.iter().zip(&self.live);
        let work: usize = work
            .filter(|(_, l)| **l)
            .map(|(x, _)| instruction_weight(x))
            .sum();
        let access_weight = 2 * loads + 4 * (self.fills.len() + self.stores.len());
        Prepared {
            isa: self.isa,
            total,
            tile,
            long_row: self.long_row,
            in_rows: self.in_rows,
            registers,
            slots: first_uniform + self.constants.len(),
            first_uniform,
            uniform_operations: self.uniform_operations.iter().map(operation).collect(),
            pieces: self
                .operations
                .iter()
                .map(|draft| Piece::Kernel(operation(draft)))
                .collect(),
            streams: self
                .streams
                .iter()
                .enumerate()
                .map(|(s, (access, by_rows))| Stream {
                    slot: first_stream + s,
                    access: access.clone(),
                    by_rows: *by_rows,
                })
                .collect(),
            fills: self
                .fills
                .iter()
                .map(|(r, access)| Fill {
                    slot: register[*r],
                    access: access.clone(),
                })
                .collect(),
            stores: self
                .stores
                .iter()
                .map(|(value, to, access)| {
                    let from = slot(*value);
                    match to.map(slot) {
                        Some(to) if access.element == Element::Bool => Store::Narrow { from, to },
                        Some(to) => Store::Bytes { from, to },
                        None => Store::Scatter {
                            from,
                            access: access.clone(),
                        },
                    }
                })
                .collect(),
            results: read.iter().copied().map(slot).collect(),
            shape: self.shape.to_vec(),
            constants: self.constants,
            uniform_loads: self.uniform_loads,
            weight: work.max(1) + access_weight,
        }
    }
}
