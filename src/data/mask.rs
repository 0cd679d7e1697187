//! Cells whose value is unknown: what a data statement says of them, and what comes of it.
//!
//! Which cells are observed is a product of factors, each over modes of its own: a mask over
//! `[station, day]` stays a table of stations by days whatever other modes there are.

use std::sync::Arc;

use super::format::{Checked, Loaded, Pending};
use super::formats::npy::{self, Array, Fault};
use super::formats::npz;
use super::request::{Literal, MaskClause, MaskFile, Request, Source};
use super::suggest::{count, list};
use super::summary::cell_name;
use super::tensor::{Buffer, Dense, Element, Onlooker, Sparse, Storage, Tensor, Values};
use super::{Files, open};
use crate::model::predicate::Predicate;
use crate::model::table::strides;
use crate::model::{Mode, Scope, Support};
use crate::numeric::share;
use crate::text::{Code, Diagnostic, Span};

/// Cells that are looked at by one thread at a time.
const BLOCK: usize = 1 << 15;

/// Most cells that are looked at one by one.
pub const LISTED: usize = 1 << 27;

/// Which cells of a tensor are observed: those that every factor lets through.
#[derive(Debug, Clone)]
pub struct Mask {
    /// The factors.
    pub factors: Vec<Factor>,
}

/// A condition over some of the modes.
#[derive(Debug, Clone)]
pub struct Factor {
    /// Its modes.
    pub scope: Scope,
    /// Their numbers of levels.
    pub shape: Vec<usize>,
    /// Whether it lets a cell through, row-major.
    pub observed: Arc<[bool]>,
    /// Where the user wrote it.
    pub span: Span,
}

impl Factor {
    /// A factor from truth values over modes, row-major.
    pub fn new(scope: Scope, shape: Vec<usize>, observed: impl Into<Arc<[bool]>>, span: Span) -> Self {
        Self { scope, shape, observed: observed.into(), span }
    }

    /// The cells that it lets through.
    pub fn support(&self) -> Support {
        Support::new(self.scope.clone(), self.shape.clone(), Arc::clone(&self.observed))
    }

    /// Distances between neighbours along the modes of a table over `scope`; 0 where it does not look.
    fn steps(&self, scope: &Scope) -> Vec<usize> {
        let own = strides(&self.shape);
        let step = |m: usize| self.scope.position(m).and_then(|p| own.get(p)).copied();
        scope.iter().map(|m| step(m).unwrap_or(0)).collect()
    }
}

impl Mask {
    /// A mask of these factors; those over all `modes` become one, which comes last.
    pub fn new(factors: Vec<Factor>, modes: usize) -> Mask {
        let all = Scope::all(modes);
        let (whole, mut factors): (Vec<Factor>, Vec<Factor>) =
            factors.into_iter().partition(|f| f.scope == all);
        let mut whole = whole.into_iter();
        if let Some(first) = whole.next() {
            factors.push(whole.fold(first, |a, b| {
                let both: Vec<bool> = a.observed.iter().zip(b.observed.iter()).map(|(a, b)| a & b).collect();
                Factor::new(all.clone(), a.shape, both, a.span)
            }));
        }
        Mask { factors }
    }

    /// The cells that a mask and one more factor let through.
    #[must_use]
    pub fn and(mask: Option<&Mask>, more: Factor, modes: usize) -> Mask {
        let factors = mask.map_or(&[][..], |m| &m.factors).iter().cloned();
        Mask::new(factors.chain([more]).collect(), modes)
    }

    /// Whether a cell, given by a level for every mode, is observed.
    pub fn observes(&self, cell: &[usize]) -> bool {
        self.factors.iter().all(|f| {
            let index = f.scope.iter().zip(&f.shape);
            let at = index.fold(0, |k, (m, n)| k * n + cell.get(m).copied().unwrap_or(0));
            f.observed.get(at).is_some_and(|o| *o)
        })
    }

    /// The modes that some factor looks at.
    pub fn scope(&self) -> Scope {
        self.factors.iter().fold(Scope::empty(), |s, f| s.union(&f.scope))
    }

    /// One truth value per cell of `scope`, row-major, or none beyond [`LISTED`] cells. Modes of factors
    /// outside the scope are not looked at: `scope` must contain them.
    pub fn over(&self, scope: &Scope, sizes: &[usize]) -> Option<Arc<[bool]>> {
        let shape: Vec<usize> = scope.iter().filter_map(|m| sizes.get(m).copied()).collect();
        let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n))?;
        (cells <= LISTED).then(|| self.table(scope, &shape))
    }

    /// One truth value per cell of a tensor with this shape whose cells are all in memory, however many they are.
    pub fn over_all(&self, shape: &[usize]) -> Arc<[bool]> {
        self.table(&Scope::all(shape.len()), shape)
    }

    fn table(&self, scope: &Scope, shape: &[usize]) -> Arc<[bool]> {
        if let [only] = self.factors.as_slice()
            && only.scope == *scope
        {
            return Arc::clone(&only.observed);
        }
        let mut observed = vec![true; shape.iter().product()];
        for factor in &self.factors {
            let own = &factor.observed;
            walk(shape, &factor.steps(scope), |k, at| observed[k] &= own[at]);
        }
        observed.into()
    }
}

/// Visits the cells of `shape` in row-major order, with the place that `steps` lead to.
fn walk(shape: &[usize], steps: &[usize], mut visit: impl FnMut(usize, usize)) {
    let cells: usize = shape.iter().product();
    let mut index = vec![0; shape.len()];
    let (last, step) = (shape.last().copied().unwrap_or(1), steps.last().copied().unwrap_or(0));
    let mut k = 0;
    while k < cells {
        let at: usize = index.iter().zip(steps).map(|(i, s)| i * s).sum();
        for i in 0..last {
            visit(k + i, at + i * step);
        }
        k += last.max(1);
        for axis in (0..shape.len().saturating_sub(1)).rev() {
            index[axis] += 1;
            if index[axis] < shape[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
}

/// The modes of every factor that a request will have, by position: known before a cell is read.
pub fn scopes(request: &Request) -> Vec<Scope> {
    let all = Scope::all(request.axes.len());
    let mut scopes: Vec<Scope> = Vec::new();
    for clause in &request.masks {
        match clause {
            MaskClause::Where { factors, .. } => {
                scopes.extend(factors.iter().map(|f| if f.of_value { all.clone() } else { f.scope.clone() }));
            }
            MaskClause::File { file, .. } => scopes.push(file.axes.iter().copied().collect()),
        }
    }
    if matches!(&request.source, Source::Literal(literal) if has_missing(literal)) {
        scopes.push(all);
    }
    merged(scopes, request.axes.len())
}

/// The scopes of a mask, those over all `modes` as one, as [`Mask::new`] has them.
pub fn merged(mut scopes: Vec<Scope>, modes: usize) -> Vec<Scope> {
    let all = Scope::all(modes);
    let before = scopes.len();
    scopes.retain(|s| *s != all);
    if scopes.len() < before {
        scopes.push(all);
    }
    scopes
}

/// Whether a literal calls some cell missing.
pub(super) fn has_missing(literal: &Literal) -> bool {
    match literal {
        Literal::Missing(_) => true,
        Literal::Number(..) => false,
        Literal::List(items, _) => items.iter().any(has_missing),
    }
}

/// The mask files of a request, opened.
#[derive(Debug, Default)]
pub(crate) struct Masks {
    files: Vec<Marks>,
}

/// Cells that are read through a mask.
#[derive(Debug)]
pub(crate) struct Masked {
    pub inner: Arc<dyn Pending>,
    pub masks: Masks,
}

impl Pending for Masked {
    fn read(&self, request: &Request, modes: &[Mode], onlooker: Option<&dyn Onlooker>) -> Checked<Loaded> {
        self.inner.read_masked(request, modes, &self.masks, onlooker)
    }
}

impl Masks {
    /// Opens the mask files; their shapes must be those of the modes they are over.
    pub fn inspect(request: &Request, modes: &[Mode], files: &dyn Files) -> Checked<Self> {
        let mut problems = Vec::new();
        let mut arrays = Vec::new();
        for clause in &request.masks {
            let MaskClause::File { file, .. } = clause else { continue };
            match Marks::read(files, file).and_then(|marks| marks.fit(file, modes).map(|()| marks)) {
                Ok(marks) => arrays.push(marks),
                Err(more) => problems.extend(more),
            }
        }
        if problems.is_empty() { Ok(Self { files: arrays }) } else { Err(problems) }
    }

    /// The factors that do not depend on values.
    fn of_levels(&self, request: &Request, modes: &[Mode]) -> Checked<Vec<Factor>> {
        let mut factors = Vec::new();
        let mut files = self.files.iter();
        for clause in &request.masks {
            match clause {
                MaskClause::File { file, missing, span } => {
                    let Some(marks) = files.next() else { continue };
                    factors.push(marks.factor(file, *missing, *span, modes)?);
                }
                MaskClause::Where { factors: list, .. } => {
                    for predicate in list.iter().filter(|p| !p.of_value) {
                        factors.push(of_predicate(predicate, modes)?);
                    }
                }
            }
        }
        Ok(factors)
    }

    /// A dense tensor without the values of its unknown cells. `unknown` lists cells, by their place in
    /// row-major order, that a literal calls missing.
    pub fn dense(
        &self,
        request: &Request,
        modes: &[Mode],
        dense: &Dense,
        unknown: &[(usize, Span)],
        onlooker: Option<&dyn Onlooker>,
        (what, span): (&str, Span),
    ) -> Checked<Loaded> {
        let shape = dense.shape.clone();
        let values = doubles(dense);
        let all = Scope::all(shape.len());
        let (whole, mut factors): (Vec<Factor>, Vec<Factor>) =
            self.of_levels(request, modes)?.into_iter().partition(|f| f.scope == all);
        let at = |clause: &MaskClause| clause.span();
        let first = request.masks.first().map(at).or_else(|| unknown.first().map(|(_, s)| *s));
        let mut whole = whole.into_iter().map(|f| f.observed);
        let first_whole = whole.next();
        let mut observed: Option<Vec<bool>> = None;
        let table = |observed: Option<Vec<bool>>| {
            let start = || first_whole.as_ref().map_or_else(|| vec![true; values.len()], |own| own.to_vec());
            observed.unwrap_or_else(start)
        };
        for own in whole {
            let mut seen = table(observed);
            seen.iter_mut().zip(own.iter()).for_each(|(s, o)| *s &= o);
            observed = Some(seen);
        }
        for predicate in value_predicates(request) {
            let mut seen = table(observed);
            if let Some(passes) = predicate.of_values() {
                keep(&mut seen, &values, passes);
            } else {
                let mut cell = vec![0; shape.len()];
                for (k, (s, x)) in seen.iter_mut().zip(&*values).enumerate() {
                    place(k, &shape, &mut cell);
                    *s &= predicate.passes(modes, &cell, *x).map_err(|d| vec![d])?;
                }
            }
            observed = Some(seen);
        }
        if !unknown.is_empty() {
            let mut seen = table(observed);
            unknown.iter().for_each(|(k, _)| seen[*k] = false);
            observed = Some(seen);
        }
        if let Some(seen) = observed.map(Arc::from).or(first_whole) {
            let at = first.unwrap_or(span);
            factors.push(Factor::new(all.clone(), shape.clone(), seen, at));
        }
        let mask = Mask { factors };
        let seen = mask.over_all(&shape);
        let counted = Values::F64(Buffer::masked(values.clone(), Arc::clone(&seen)));
        let (dense, summary) = npy::look(Dense::new(shape.clone(), strides(&shape), counted), onlooker);
        let unknown = |(x, seen): (&f64, &bool)| *seen && x.is_nan();
        let first_unknown = match summary.allowed() {
            Some(_) => None,
            None => values.iter().zip(seen.iter()).position(unknown),
        };
        if let Some(k) = first_unknown {
            let mut cell = vec![0; shape.len()];
            place(k, &shape, &mut cell);
            let more = values.iter().zip(seen.iter()).filter(|cell| unknown(*cell)).count() - 1;
            return Err(vec![no_value(request, modes, &cell, more, first.unwrap_or(span), what, span)]);
        }
        check(&mask, request, modes, first.unwrap_or(span))?;
        let mut loaded = npy::finish(request, modes, dense, summary, what, span)?;
        loaded.tensor.mask = Some(Arc::new(mask));
        Ok(loaded)
    }

    /// A sparse tensor without its unknown cells. Conditions on values need all cells to be listed.
    pub fn sparse(&self, request: &Request, modes: &[Mode], mut loaded: Loaded) -> Checked<Loaded> {
        let sparse = match &*loaded.tensor.storage {
            Storage::Sparse(sparse) => sparse,
            Storage::Dense(dense) => {
                let (what, at) = source(request);
                let masked = self.dense(request, modes, dense, &[], None, (&what, at))?;
                return Ok(Loaded { tensor: masked.tensor, ..loaded });
            }
        };
        let mut factors = self.of_levels(request, modes)?;
        let shape: Vec<usize> = modes.iter().map(Mode::size).collect();
        let at = request.masks.first().map_or(request.span, MaskClause::span);
        let of_value: Vec<&Predicate> = value_predicates(request).collect();
        if !of_value.is_empty() {
            let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n)).filter(|n| *n <= LISTED);
            let Some(cells) = cells else {
                return Err(vec![
                    Diagnostic::new(
                        Code::MBA456,
                        format!("a condition on the values of more than {LISTED} cells"),
                    )
                    .at(of_value.first().map_or(at, |p| p.span()), "asked of every cell, zeros included")
                    .help("say which levels are missing, or merge levels"),
                ]);
            };
            let mut values = vec![0.0; cells];
            for (row, x) in sparse.values.iter().enumerate() {
                let k = shape.iter().zip(&sparse.coordinates).fold(0, |k, (n, c)| k * n + c.at(row));
                values[k] = *x;
            }
            let mut seen = vec![true; cells];
            for predicate in of_value {
                if let Some(passes) = predicate.of_values() {
                    keep(&mut seen, &values, passes);
                    continue;
                }
                let mut cell = vec![0; shape.len()];
                for (k, (s, x)) in seen.iter_mut().zip(&values).enumerate() {
                    place(k, &shape, &mut cell);
                    *s &= predicate.passes(modes, &cell, *x).map_err(|d| vec![d])?;
                }
            }
            factors.push(Factor::new(Scope::all(shape.len()), shape.clone(), seen, at));
        }
        let mask = Mask::new(factors, shape.len());
        check(&mask, request, modes, at)?;
        let mut cell = vec![0; shape.len()];
        let kept: Vec<usize> = (0..sparse.values.len())
            .filter(|row| {
                cell.iter_mut().zip(&sparse.coordinates).for_each(|(l, c)| *l = c.at(*row));
                mask.observes(&cell)
            })
            .collect();
        let values: Vec<f64> = kept.iter().map(|k| sparse.values[*k]).collect();
        let bad = |x: &f64| !(*x >= 0.0 && x.is_finite());
        if let Some(first) = values.iter().position(bad) {
            let row = kept[first];
            let cell: Vec<usize> = sparse.coordinates.iter().map(|c| c.at(row)).collect();
            let (what, span) = source(request);
            let x = values[first];
            let alike = values.iter().filter(|y| bad(y) && y.is_nan() == x.is_nan()).count() - 1;
            return Err(vec![if x.is_nan() {
                no_value(request, modes, &cell, alike, at, &what, span)
            } else {
                super::summary::bad_value(request, &cell_name(modes, &cell), x, alike, "", span)
            }]);
        }
        let counts = super::summary::summarise(&values, &|k| k).allowed().is_some_and(|(_, counts)| counts);
        let total = {
            let mut sum = crate::numeric::sum::Compensated::default();
            values.iter().for_each(|x| sum.add(*x));
            sum.value()
        };
        super::summary::totals(request, total, "what is observed", at)?;
        let coordinates = sparse.coordinates.iter().map(|c| c.of_cells(&kept)).collect();
        let storage = Arc::new(Storage::Sparse(Sparse { shape, coordinates, values: Buffer::new(values) }));
        loaded.tensor = Tensor { storage, total, counts, mask: Some(Arc::new(mask)), ..loaded.tensor };
        Ok(loaded)
    }
}

fn value_predicates(request: &Request) -> impl Iterator<Item = &Predicate> {
    let lists = request.masks.iter().filter_map(|c| match c {
        MaskClause::Where { factors, .. } => Some(factors),
        MaskClause::File { .. } => None,
    });
    lists.flatten().filter(|p| p.of_value)
}

/// What the cells come from, in words and in the text.
/// Keeps of the cells that are seen those whose value passes.
fn keep(seen: &mut [bool], values: &[f64], passes: impl Fn(f64) -> bool + Sync + Send) {
    share::chunks(values.len() >= share::PASS, seen, BLOCK, |k, seen| {
        seen.iter_mut().zip(&values[k * BLOCK..]).for_each(|(s, x)| *s &= passes(*x));
    });
}

fn source(request: &Request) -> (String, Span) {
    let what = match &request.source {
        Source::File { path, .. } => format!("`{path}`"),
        Source::Coordinates { values, .. } => format!("`{}`", values.0),
        Source::Literal(_) => "the literal".into(),
    };
    (what, request.source.span())
}

/// The report on an observed cell that has no value; `more` others are alike.
fn no_value(
    request: &Request,
    modes: &[Mode],
    cell: &[usize],
    more: usize,
    clause: Span,
    what: &str,
    span: Span,
) -> Diagnostic {
    let mut report = Diagnostic::new(
        Code::MBA453,
        format!("the cell {} of `{}` has no value", cell_name(modes, cell), request.name),
    )
    .at(clause, "by this, the cell is observed")
    .at(span, format!("{what} holds nan there"));
    if more > 0 {
        report = report.note(format!("{} observed without a value as well", cells_are(more)));
    }
    report.help("add `missing where nan`, or correct the mask")
}

fn cells_are(n: usize) -> String {
    format!("{} {}", count(n, "other cell", "other cells"), if n == 1 { "is" } else { "are" })
}

/// The levels of the cell at place `k` in row-major order.
fn place(mut k: usize, shape: &[usize], cell: &mut [usize]) {
    for (level, n) in cell.iter_mut().zip(shape).rev() {
        *level = k % n;
        k /= n;
    }
}

/// The values of a dense tensor in row-major order, lent where they lie so.
fn doubles(dense: &Dense) -> Buffer<f64> {
    match &dense.values {
        Values::F64(values) if dense.strides == strides(&dense.shape) => values.clone(),
        _ => Buffer::new(rows(dense)),
    }
}

/// A copy of the values of a dense tensor in row-major order.
fn rows(dense: &Dense) -> Vec<f64> {
    crate::with_values!(&dense.values, values => {
        if dense.strides == strides(&dense.shape) {
            values.iter().map(|x| x.to_f64()).collect()
        } else {
            let mut out = vec![0.0; dense.shape.iter().product()];
            walk(&dense.shape, &dense.strides, |k, at| out[k] = values[at].to_f64());
            out
        }
    })
}

fn wrong_shape(what: &str, at: Span, shape: &[usize], axes: &[usize], modes: &[Mode]) -> Diagnostic {
    let named: Vec<String> =
        axes.iter().filter_map(|a| modes.get(*a)).map(|m| format!("{}: {}", m.name, m.size())).collect();
    let sizes: Vec<String> = shape.iter().map(usize::to_string).collect();
    let report = Diagnostic::new(
        Code::MBA450,
        format!("the mask {what} is not over the modes `[{}]`", named.join(", ")),
    )
    .at(at, if sizes.is_empty() { "is a single number".into() } else { format!("is {}", sizes.join(" × ")) });
    // a shape that fits other modes says which were meant
    let mut left: Vec<&Mode> = modes.iter().collect();
    let meant: Vec<String> = shape
        .iter()
        .filter_map(|n| left.iter().position(|m| m.size() == *n).map(|p| left.remove(p).name.clone()))
        .collect();
    if meant.len() == shape.len() && !meant.is_empty() {
        report.help(format!("list the modes of its axes: `[{}]`", meant.join(", ")))
    } else {
        report.help("give it one axis for each of these modes, in this order")
    }
}

/// The array of a mask file.
#[derive(Debug, Clone)]
struct Marks {
    array: Array,
    /// What it is called in messages.
    what: String,
}

impl Marks {
    /// Reads an `.npy` file, or one array of an `.npz` archive.
    fn read(files: &dyn Files, file: &MaskFile) -> Checked<Self> {
        let opened = open(files, &file.path, file.at)?;
        if opened.content.bytes().starts_with(b"PK") || file.path.to_lowercase().ends_with(".npz") {
            let (array, what, _) = npz::find(file.key.as_ref(), &opened)?;
            return Ok(Self { array, what });
        }
        let what = format!("`{}`", file.path);
        match (Array::new(opened.content.buffer(), 0), &file.key) {
            (Ok(_), Some((_, span))) => Err(vec![
                Diagnostic::new(Code::MBA409, format!("the mask {what} holds no arrays to choose from"))
                    .at(*span, "picks an array of the mask before it")
                    .at(file.at, "a single array")
                    .help("leave the name out, or, if an array of the data is meant, write `key` before the mask"),
            ]),
            (Ok(array), None) => Ok(Self { array, what }),
            (Err(Fault::Foreign), _) => Err(vec![
                Diagnostic::new(Code::MBA404, format!("the mask {what} is not a NumPy array"))
                    .at(file.at, "begins like neither `.npy` nor `.npz`")
                    .help("save the mask as an array of `bool`, with `numpy.save` or `numpy.savez`"),
            ]),
            (Err(fault), _) => Err(vec![npy::report(fault, &what, file.at)]),
        }
    }

    /// Whether the shape is that of the modes.
    fn fit(&self, file: &MaskFile, modes: &[Mode]) -> Checked<()> {
        let sizes = file.axes.iter().filter_map(|a| modes.get(*a)).map(Mode::size);
        if sizes.eq(self.array.shape.iter().copied()) {
            return Ok(());
        }
        Err(vec![wrong_shape(&self.what, file.at, &self.array.shape, &file.axes, modes)])
    }

    /// The factor that the array makes where true is what `missing` says.
    fn factor(&self, file: &MaskFile, missing: bool, span: Span, modes: &[Mode]) -> Checked<Factor> {
        // other data may have brought more levels since the header was read
        self.fit(file, modes)?;
        let axes = &file.axes;
        let scope: Scope = axes.iter().copied().collect();
        if let Some(marks) = self.array.truths().filter(|_| axes.is_sorted()) {
            let observed: Arc<[bool]> = marks.iter().map(|m| (*m != 0) != missing).collect();
            return Ok(Factor::new(scope, self.array.shape.clone(), observed, span));
        }
        let dense = self.array.dense();
        let values = rows(&dense);
        if let Some(k) = values.iter().position(|x| *x != 0.0 && *x != 1.0) {
            let mut cell = vec![0; dense.shape.len()];
            place(k, &dense.shape, &mut cell);
            let own: Vec<Mode> = axes.iter().filter_map(|a| modes.get(*a).cloned()).collect();
            let message = format!("the mask {} is neither true nor false everywhere", self.what);
            return Err(vec![
                Diagnostic::new(Code::MBA454, message)
                    .at(file.at, format!("holds {} at {}", values[k], cell_name(&own, &cell)))
                    .help("save it as an array of `bool`, or of zeros and ones"),
            ]);
        }
        // the array has its axes as they are listed, the factor in the order of the modes
        let own = strides(&dense.shape);
        let step =
            |m: usize| axes.iter().position(|a| *a == m).and_then(|p| own.get(p)).copied().unwrap_or(0);
        let shape: Vec<usize> = scope.iter().filter_map(|m| modes.get(m)).map(Mode::size).collect();
        let steps: Vec<usize> = scope.iter().map(step).collect();
        let mut marked = vec![false; values.len()];
        walk(&shape, &steps, |k, at| marked[k] = values[at] == 1.0);
        marked.iter_mut().for_each(|m| *m = *m != missing);
        Ok(Factor::new(scope, shape, marked, span))
    }
}

/// The factor that a condition on levels makes.
pub(super) fn of_predicate(predicate: &Predicate, modes: &[Mode]) -> Checked<Factor> {
    let scope = predicate.scope.clone();
    let shape: Vec<usize> = scope.iter().filter_map(|m| modes.get(m)).map(Mode::size).collect();
    let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n)).filter(|n| *n <= LISTED);
    let Some(cells) = cells else {
        let names = scope.iter().filter_map(|m| modes.get(m)).map(|m| m.name.as_str());
        return Err(vec![
            Diagnostic::new(Code::MBA456, format!("a condition over more than {LISTED} cells"))
                .at(predicate.span(), format!("looks at {} together", list(names)))
                .help("split it into conditions joined by `or`, each on fewer modes"),
        ]);
    };
    let mut own = vec![0; shape.len()];
    let mut cell = vec![0; modes.len()];
    let mut observed = Vec::with_capacity(cells);
    for k in 0..cells {
        place(k, &shape, &mut own);
        scope.iter().zip(&own).for_each(|(m, level)| cell[m] = *level);
        observed.push(predicate.passes(modes, &cell, f64::NAN).map_err(|d| vec![d])?);
    }
    Ok(Factor::new(scope, shape, observed, predicate.span()))
}

/// Whether any cell is left.
fn check(mask: &Mask, request: &Request, modes: &[Mode], at: Span) -> Checked<()> {
    let sizes: Vec<usize> = modes.iter().map(Mode::size).collect();
    let none = match mask.over(&mask.scope(), &sizes) {
        Some(observed) => !observed.contains(&true),
        None => mask.factors.iter().any(|f| !f.observed.contains(&true)),
    };
    if none {
        return Err(vec![
            Diagnostic::new(Code::MBA451, format!("no cell of `{}` is observed", request.name))
                .at(at, "leaves nothing to fit to")
                .help("check the condition, and whether the mask marks the missing or the observed cells"),
        ]);
    }
    Ok(())
}

/// Levels that no observed cell has, as pairs of positions: mode and level. Ends as soon as every level has
/// been seen.
pub fn never_observed(mask: &Mask, sizes: &[usize]) -> Vec<(usize, usize)> {
    let scope = mask.scope();
    let Some(observed) = mask.over(&scope, sizes) else { return Vec::new() };
    let shape: Vec<usize> = scope.iter().filter_map(|m| sizes.get(m).copied()).collect();
    let mut seen: Vec<Vec<bool>> = shape.iter().map(|n| vec![false; *n]).collect();
    let mut waiting: usize = shape.iter().sum();
    let mut cell = vec![0; shape.len()];
    let row = shape.last().copied().unwrap_or(1).max(1);
    let mut open = true;
    for (r, cells) in observed.chunks(row).enumerate() {
        if waiting == 0 {
            break;
        }
        place(r * row, &shape, &mut cell);
        let Some((last, outer)) = seen.split_last_mut() else { break };
        if open {
            for (seen, o) in last.iter_mut().zip(cells) {
                waiting -= usize::from(*o && !*seen);
                *seen |= *o;
            }
            open = last.contains(&false);
        }
        for (seen, level) in outer.iter_mut().zip(&cell) {
            if !seen[*level] && cells.contains(&true) {
                seen[*level] = true;
                waiting -= 1;
            }
        }
    }
    let missing = |(m, s): (usize, &Vec<bool>)| -> Vec<(usize, usize)> {
        s.iter().enumerate().filter(|(_, seen)| !**seen).map(|(level, _)| (m, level)).collect()
    };
    scope.iter().zip(&seen).flat_map(missing).collect()
}

/// A factor from a file of truth values over the modes `axes`, by position, where true hides a cell.
///
/// # Errors
/// As for the mask of a data statement.
pub fn hidden_by_file(files: &dyn Files, file: &MaskFile, modes: &[Mode]) -> Checked<Factor> {
    Marks::read(files, file)?.factor(file, true, file.at, modes)
}

/// A factor that one predicate makes, asked of the cells of a tensor.
///
/// # Errors
/// As for the condition of a data statement.
pub fn by_predicate(predicate: &Predicate, tensor: &Tensor) -> Checked<Factor> {
    if !predicate.of_value {
        return of_predicate(predicate, &tensor.modes);
    }
    let shape: Vec<usize> = tensor.modes.iter().map(Mode::size).collect();
    let cells = shape.iter().try_fold(1usize, |k, n| k.checked_mul(*n)).filter(|n| *n <= LISTED);
    let Some(cells) = cells else {
        return Err(vec![
            Diagnostic::new(Code::MBA456, format!("a condition on the values of more than {LISTED} cells"))
                .at(predicate.span(), "asked of every cell, zeros included")
                .help("say which levels are meant"),
        ]);
    };
    let values = every(tensor, cells);
    let mut cell = vec![0; shape.len()];
    let mut seen = Vec::with_capacity(cells);
    for (k, x) in values.iter().enumerate() {
        place(k, &shape, &mut cell);
        seen.push(predicate.passes(&tensor.modes, &cell, *x).map_err(|d| vec![d])?);
    }
    Ok(Factor::new(Scope::all(shape.len()), shape, seen, predicate.span()))
}

/// Every value of a tensor, row-major.
fn every(tensor: &Tensor, cells: usize) -> Vec<f64> {
    match &*tensor.storage {
        Storage::Dense(dense) => rows(dense),
        Storage::Sparse(sparse) => {
            let mut values = vec![0.0; cells];
            for (row, x) in sparse.values.iter().enumerate() {
                let at = sparse.shape.iter().zip(&sparse.coordinates);
                values[at.fold(0, |k, (n, c)| k * n + c.at(row))] = *x;
            }
            values
        }
    }
}

/// The tensor without the cells that some factor hides.
///
/// # Errors
/// MBA451 when nothing with mass is left.
pub fn hide(tensor: &Tensor, factors: Vec<Factor>, span: Span) -> Checked<Tensor> {
    let modes = tensor.modes.len();
    let hidden = Mask::new(factors.clone(), modes);
    let mask = factors.into_iter().fold(None, |mask: Option<Mask>, f| {
        Some(Mask::and(mask.as_ref().or(tensor.mask.as_deref()), f, modes))
    });
    let (storage, total) = match &*tensor.storage {
        Storage::Dense(dense) => {
            let mut values = rows(dense);
            let seen = hidden.over_all(&dense.shape);
            values.iter_mut().zip(seen.iter()).filter(|(_, s)| !**s).for_each(|(x, _)| *x = 0.0);
            let mut sum = crate::numeric::sum::Compensated::default();
            values.iter().for_each(|x| sum.add(*x));
            (Storage::Dense(Dense::row_major(dense.shape.clone(), values)), sum.value())
        }
        Storage::Sparse(sparse) => {
            let mut cell = vec![0; modes];
            let kept: Vec<usize> = (0..sparse.values.len())
                .filter(|row| {
                    cell.iter_mut().zip(&sparse.coordinates).for_each(|(l, c)| *l = c.at(*row));
                    hidden.observes(&cell)
                })
                .collect();
            let values: Vec<f64> = kept.iter().map(|k| sparse.values[*k]).collect();
            let mut sum = crate::numeric::sum::Compensated::default();
            values.iter().for_each(|x| sum.add(*x));
            let coordinates = sparse.coordinates.iter().map(|c| c.of_cells(&kept)).collect();
            let shape = sparse.shape.clone();
            (Storage::Sparse(Sparse { shape, coordinates, values: Buffer::new(values) }), sum.value())
        }
    };
    if total <= 0.0 {
        return Err(vec![
            Diagnostic::new(Code::MBA451, format!("nothing of `{}` is left to fit to", tensor.name))
                .at(span, "hides everything")
                .help("hold out less"),
        ]);
    }
    Ok(Tensor { storage: Arc::new(storage), total, mask: mask.map(Arc::new), ..tensor.clone() })
}
