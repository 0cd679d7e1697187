//! From declared tensors to data requests, and from what their headers say to modes with levels.

use std::collections::HashMap;
use std::sync::Arc;

use indexmap::IndexMap;

use super::Host;
use crate::data::{
    self, Axis, Counting, Declared, Format, Header, Literal, MaskClause, MaskFile, Request, Source,
};
use crate::model::constant::{self, Constant, Names};
use crate::model::declarations::{Declarations, TensorEntry};
use crate::model::elaborate::{KnownModes, known_modes};
use crate::model::{Levels, predicate};
use crate::text::ast::{self, Argument, DataClause, DataSource, Expr, ExprKind};
use crate::text::{Code, Diagnostic, Span, suggest};

/// A declared tensor whose header has been read.
#[derive(Debug, Clone)]
pub struct Bound {
    /// Names of its modes in order, families spread out.
    pub modes: Vec<String>,
    /// Where it comes from.
    pub origin: Origin,
}

/// Where the cells of a tensor come from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file or a literal, with its header.
    Stored(Arc<Request>, Arc<Header>),
    /// `sample(model, n, seed: s)`.
    Sampled(Arc<Sampling>),
}

/// A request for a sample of a model.
#[derive(Debug, Clone)]
pub struct Sampling {
    /// The model, or a template with its arguments.
    pub model: ast::Call,
    /// How many records.
    pub count: usize,
    /// The seed, when it is given.
    pub seed: Option<u64>,
    /// The call.
    pub span: Span,
}

/// Reads the headers of every tensor and settles the levels of every mode.
///
/// `paths` gives for each tensor the file that declares it, which relative paths start from; `earlier`
/// the tensors whose headers have been read and hold.
pub fn bind(
    declarations: &Declarations,
    paths: &HashMap<String, String>,
    earlier: &IndexMap<String, Bound>,
    host: &dyn Host,
) -> (IndexMap<String, Bound>, KnownModes, Vec<Diagnostic>) {
    let mut bound = IndexMap::new();
    let mut diagnostics = Vec::new();
    // levels found in the data, by mode, with the tensors they were found in
    let mut found: IndexMap<String, (Levels, &TensorEntry)> = IndexMap::new();
    for (name, entry) in &declarations.tensors {
        let base = paths.get(name).map_or("", String::as_str);
        let modes = match modes_of(entry, declarations) {
            Ok(modes) => modes,
            Err(list) => {
                diagnostics.extend(list);
                continue;
            }
        };
        if let DataSource::Value(expr) = &entry.declaration.source
            && let Some(sampling) = sampling(expr, declarations)
        {
            let masks = entry.declaration.clauses.first().map(|c| match c {
                DataClause::MaskFile { span, .. } | DataClause::MaskWhere { span, .. } => *span,
                _ => entry.span,
            });
            if let Some(span) = masks {
                diagnostics.push(crate::model::unsupported("missing cells of a sample", span));
            }
            match sampling {
                Ok(sampling) => {
                    for mode in modes.iter().filter(|m| m.declared == Declared::FromData && !m.wrong) {
                        diagnostics.push(
                            Diagnostic::new(Code::MBA221, format!("mode `{}` has no levels", mode.name))
                                .at(mode.declared_at, "its levels are to come from the data")
                                .at(sampling.span, "but these data are sampled")
                                .help(format!("write `mode {}: 2`, or list the levels in braces", mode.name)),
                        );
                    }
                    let modes = modes.into_iter().map(|m| m.name).collect();
                    bound.insert(name.clone(), Bound { modes, origin: Origin::Sampled(Arc::new(sampling)) });
                }
                Err(diagnostic) => diagnostics.push(diagnostic),
            }
            continue;
        }
        let names: Vec<String> = modes.iter().map(|m| m.name.clone()).collect();
        let inspected = match earlier.get(name).map(|b| &b.origin) {
            Some(Origin::Stored(request, header)) => Ok((request.clone(), header.clone())),
            _ => request(name, entry, modes, declarations, base, host).and_then(|request| {
                data::inspect(&request, &Beside { host }).map(|header| (Arc::new(request), Arc::new(header)))
            }),
        };
        match inspected {
            Ok((request, header)) => {
                diagnostics.extend(header.notes.iter().map(|note| {
                    Diagnostic::new(Code::MBA425, note.clone())
                        .at(request.source.span(), "read as one row per record")
                        .help("if that is meant, say so with `# allow MBA425` on this line")
                }));
                for axis in header.axes.iter().filter(|a| a.from_data) {
                    match found.get_mut(&axis.mode) {
                        None => {
                            found.insert(axis.mode.clone(), (axis.levels.clone(), entry));
                        }
                        Some((levels, first)) => {
                            if let Err(diagnostic) = unite(levels, &axis.levels, &axis.mode, [first, entry]) {
                                diagnostics.push(diagnostic);
                            }
                        }
                    }
                }
                let origin = Origin::Stored(request, header);
                bound.insert(name.clone(), Bound { modes: names, origin });
            }
            Err(list) => diagnostics.extend(list),
        }
    }
    let known = known_modes(declarations, |mode| found.get(mode).map(|(levels, _)| levels.clone()));
    (bound, known, diagnostics)
}

/// Levels of one mode found in two tensors, which have to be lists or the same number of levels.
fn unite(
    levels: &mut Levels,
    more: &Levels,
    mode: &str,
    [first, entry]: [&TensorEntry; 2],
) -> Result<(), Diagnostic> {
    match (&*levels, more) {
        (a, b) if a == b => Ok(()),
        (Levels::Listed(_), Levels::Listed(_)) => {
            *levels = crate::data::unite(levels, more);
            Ok(())
        }
        _ => {
            let name = |entry: &TensorEntry| entry.declaration.name.name.clone();
            let message =
                format!("mode `{mode}` has other levels in `{}` than in `{}`", name(entry), name(first));
            Err(Diagnostic::new(Code::MBA201, message)
                .at(entry.span, "another number of levels here")
                .at(first.span, "than here")
                .help(format!("declare its levels: `mode {mode}: …`, or use modes of different names")))
        }
    }
}

struct BoundMode {
    name: String,
    span: Span,
    column: Option<(String, Span)>,
    declared: Declared,
    order: crate::model::Order,
    declared_at: Span,
    wrong: bool,
}

fn modes_of(entry: &TensorEntry, declarations: &Declarations) -> Result<Vec<BoundMode>, Vec<Diagnostic>> {
    let mut modes: Vec<BoundMode> = Vec::new();
    let mut diagnostics = Vec::new();
    for axis in &entry.declaration.axes {
        let declared = match declarations.mode(&axis.mode.name, axis.mode.span) {
            Ok(declared) => declared,
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                continue;
            }
        };
        for name in declared.members() {
            if modes.iter().any(|m| m.name == name) {
                diagnostics.push(
                    Diagnostic::new(Code::MBA103, format!("mode `{name}` is listed twice"))
                        .at(axis.mode.span, "listed again")
                        .help("list each mode once"),
                );
                continue;
            }
            modes.push(BoundMode {
                name,
                span: axis.mode.span,
                column: axis.column.as_ref().map(|c| (c.value.clone(), c.span)),
                declared: declared.levels.clone().map_or(Declared::FromData, Declared::Known),
                order: declared.order,
                declared_at: declared.span,
                wrong: declared.wrong,
            });
        }
    }
    if diagnostics.is_empty() { Ok(modes) } else { Err(diagnostics) }
}

fn request(
    name: &str,
    entry: &TensorEntry,
    modes: Vec<BoundMode>,
    declarations: &Declarations,
    base: &str,
    host: &dyn Host,
) -> Result<Request, Vec<Diagnostic>> {
    let declaration = &entry.declaration;
    let mut diagnostics = Vec::new();
    let place = |path: &str| if path == "-" { path.to_string() } else { host.beside(base, path) };
    let source = match &declaration.source {
        DataSource::File(path) => Source::File { path: place(&path.value), span: path.span },
        DataSource::Coordinates { coords, values } => Source::Coordinates {
            coords: (place(&coords.value), coords.span),
            values: (place(&values.value), values.span),
        },
        DataSource::Value(expr) => match literal(expr, &declarations.names()) {
            Ok(literal) => Source::Literal(literal),
            Err(diagnostic) => return Err(vec![diagnostic]),
        },
    };
    let mut request = Request {
        name: name.to_string(),
        span: declaration.name.span,
        axes: modes
            .into_iter()
            .map(|m| Axis {
                mode: m.name,
                span: m.span,
                column: m.column,
                declared: m.declared,
                order: m.order,
                declared_at: Some(m.declared_at),
            })
            .collect(),
        source,
        format: None,
        key: None,
        counting: Counting::Default,
        masks: Vec::new(),
        drop_na: false,
    };
    let mut counted = false;
    for clause in &declaration.clauses {
        match clause {
            DataClause::Count(column) | DataClause::Sum(column) => {
                if std::mem::replace(&mut counted, true) {
                    diagnostics.push(
                        Diagnostic::new(Code::MBA001, "the values are named twice")
                            .at(column.span, "the second time")
                            .help("keep one `count` or `sum`"),
                    );
                }
                let column_name = column.value.clone();
                request.counting = match clause {
                    DataClause::Count(_) => Counting::Count(column_name, column.span),
                    _ => Counting::Sum(column_name, column.span),
                };
            }
            DataClause::Format(word) => match Format::named(&word.name) {
                Some(format) => request.format = Some(format),
                None => diagnostics.push(Format::unknown(&word.name, word.span)),
            },
            DataClause::Key(key) => request.key = Some((key.value.clone(), key.span)),
            DataClause::Drop(word) if word.name == "na" => request.drop_na = true,
            DataClause::Drop(word) => diagnostics.push(
                Diagnostic::new(Code::MBA001, format!("`drop {}` has no meaning", word.name))
                    .at(word.span, "expected `na`")
                    .help("`drop na` leaves out rows with an empty or `NA` field")
                    .replace(word.span, "na", "write `na`"),
            ),
            DataClause::MaskFile { missing, file, span } => {
                let own = request.axes.iter().map(|a| a.mode.as_str()).collect::<Vec<_>>();
                match mask_file(file, &own, declarations) {
                    Ok(file) => request.masks.push(MaskClause::File {
                        file: MaskFile { path: place(&file.path), ..file },
                        missing: *missing,
                        span: *span,
                    }),
                    Err(list) => diagnostics.extend(list),
                }
            }
            DataClause::MaskWhere { missing, condition, span } => {
                let own: Vec<&str> = request.axes.iter().map(|a| a.mode.as_str()).collect();
                match predicate::factors(condition, !missing, &own, &declarations.names()) {
                    Ok(factors) => request.masks.push(MaskClause::Where { factors, span: *span }),
                    Err(diagnostic) => diagnostics.push(diagnostic),
                }
            }
        }
    }
    if diagnostics.is_empty() { Ok(request) } else { Err(diagnostics) }
}

/// A file of truth values over some of the modes of data, its path as it is written.
pub(super) fn mask_file(
    file: &ast::ArrayFile,
    own: &[&str],
    declarations: &Declarations,
) -> Result<MaskFile, Vec<Diagnostic>> {
    Ok(MaskFile {
        path: file.path.value.clone(),
        at: file.path.span,
        key: file.key.as_ref().map(|key| (key.value.clone(), key.span)),
        axes: mask_axes(&file.axes, own, declarations)?,
    })
}

/// The modes of a mask's axes, by position among those of the data; all of them when none are listed.
fn mask_axes(
    axes: &[ast::Axis],
    own: &[&str],
    declarations: &Declarations,
) -> Result<Vec<usize>, Vec<Diagnostic>> {
    if axes.is_empty() {
        return Ok((0..own.len()).collect());
    }
    let mut found = Vec::new();
    let mut diagnostics = Vec::new();
    for axis in axes {
        let entry = match declarations.mode(&axis.mode.name, axis.mode.span) {
            Ok(entry) => entry,
            Err(diagnostic) => {
                diagnostics.push(diagnostic);
                continue;
            }
        };
        for member in entry.members() {
            match own.iter().position(|m| *m == member) {
                Some(mode) if found.contains(&mode) => diagnostics.push(
                    Diagnostic::new(Code::MBA103, format!("mode `{member}` is listed twice"))
                        .at(axis.mode.span, "listed again")
                        .help("list each mode once"),
                ),
                Some(mode) => found.push(mode),
                None => diagnostics.push(
                    Diagnostic::new(Code::MBA224, format!("mode `{member}` is not one of these data"))
                        .at(axis.mode.span, format!("the data are over {}", suggest::list(own)))
                        .help("list the modes of the mask's own axes"),
                ),
            }
        }
    }
    if diagnostics.is_empty() { Ok(found) } else { Err(diagnostics) }
}

fn literal(expr: &Expr, names: &dyn Names) -> Result<Literal, Diagnostic> {
    match &expr.kind {
        ExprKind::List(items) => {
            let items = items.iter().map(|e| literal(e, names)).collect::<Result<_, _>>()?;
            Ok(Literal::List(items, expr.span))
        }
        _ => match constant::evaluate(expr, names)? {
            Constant::Missing => Ok(Literal::Missing(expr.span)),
            value => constant::number_of(&value, expr.span).map(|x| Literal::Number(x, expr.span)),
        },
    }
}

/// A call of `sample`, when the expression is one.
fn sampling(expr: &Expr, declarations: &Declarations) -> Option<Result<Sampling, Diagnostic>> {
    let ExprKind::Call { callee, arguments, .. } = &expr.kind else { return None };
    match &callee.kind {
        ExprKind::Name(name) if name == "sample" => Some(sample_call(arguments, expr.span, declarations)),
        ExprKind::Name(name) => {
            Some(Err(Diagnostic::new(Code::MBA102, format!("no data come from `{name}`"))
                .at(
                    callee.span,
                    match suggest::nearest(name, ["sample"]) {
                        Some(_) => "did you mean `sample`?",
                        None => "unknown function",
                    },
                )
                .help("data are a file, a literal, or `sample(model, n, seed: 1)`")))
        }
        _ => None,
    }
}

fn sample_call(
    arguments: &[Argument],
    span: Span,
    declarations: &Declarations,
) -> Result<Sampling, Diagnostic> {
    let usage = || {
        Diagnostic::new(Code::MBA105, "these are not the arguments of `sample`")
            .at(span, "here")
            .help("write `sample(model, n, seed: 1)`")
    };
    let (mut positional, mut seed) = (Vec::new(), None);
    for argument in arguments {
        match &argument.name {
            None => positional.push(&argument.value),
            Some(name) if name.name == "seed" => {
                seed = Some(constant::whole(&argument.value, 0, &declarations.names())? as u64);
            }
            Some(_) => return Err(usage()),
        }
    }
    let [model, count] = positional.as_slice() else { return Err(usage()) };
    let model = match &model.kind {
        ExprKind::Name(name) => ast::Call {
            name: ast::Ident { name: name.clone(), span: model.span },
            arguments: Vec::new(),
            span: model.span,
        },
        ExprKind::Call { callee, arguments, .. } => match &callee.kind {
            ExprKind::Name(name) => ast::Call {
                name: ast::Ident { name: name.clone(), span: callee.span },
                arguments: arguments.clone(),
                span: model.span,
            },
            _ => return Err(usage()),
        },
        _ => return Err(usage()),
    };
    declarations.model(&model.name.name, model.name.span)?;
    let count = constant::whole(count, 1, &declarations.names())?;
    if count > u32::MAX as usize {
        return Err(Diagnostic::new(Code::MBA105, "a sample has at most 4 294 967 295 records")
            .at(span, "asked for here")
            .help("ask for fewer"));
    }
    Ok(Sampling { model, count, seed, span })
}

/// The files of a host, whose paths have already been placed.
pub(super) struct Beside<'a> {
    pub host: &'a dyn Host,
}

impl data::Files for Beside<'_> {
    fn open(&self, path: &str) -> std::io::Result<data::Content> {
        self.host.open(path)
    }
}
