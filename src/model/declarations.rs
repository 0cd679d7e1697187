//! What a program declares, looked up by name. The order of declarations does not matter.

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use indexmap::{IndexMap, IndexSet};

use super::constant::{self, Constant, Names};
use super::family::FAMILIES;
use super::mode::{Level, Levels, Order};
use crate::text::ast::{
    DataDeclaration, Expr, ExprKind, ModeDeclaration, ModelDeclaration, ParamDeclaration, Program, Statement,
    StatementKind,
};
use crate::text::{Code, Diagnostic, Span, suggest};

/// A mode can have at most this many levels, so that a level's position fits 32 bits.
pub const MAX_LEVELS: usize = u32::MAX as usize;

/// A declared mode or family of modes.
#[derive(Debug, Clone)]
pub struct ModeEntry {
    /// Its name.
    pub name: String,
    /// Sizes of a family; empty for a single mode.
    pub sizes: Vec<usize>,
    /// The levels, unless they come from the data.
    pub levels: Option<Levels>,
    /// How levels relate.
    pub order: Order,
    /// Where it is declared.
    pub span: Span,
    /// Whether the declaration is wrong, which has been reported; only the name is known then.
    pub wrong: bool,
}

impl ModeEntry {
    /// The names of the modes declared: one, or every member of the family in row-major order.
    pub fn members(&self) -> Vec<String> {
        if self.sizes.is_empty() {
            return vec![self.name.clone()];
        }
        let count: usize = self.sizes.iter().product();
        (0..count)
            .map(|flat| {
                let mut rest = flat;
                let mut index: Vec<String> = Vec::with_capacity(self.sizes.len());
                for size in self.sizes.iter().rev() {
                    index.push((rest % size).to_string());
                    rest /= size;
                }
                index.reverse();
                format!("{}[{}]", self.name, index.join(", "))
            })
            .collect()
    }
}

/// A declared tensor.
#[derive(Debug, Clone)]
pub struct TensorEntry {
    /// What was written.
    pub declaration: Arc<DataDeclaration>,
    /// The whole statement.
    pub span: Span,
}

/// A declared model or template.
#[derive(Debug, Clone)]
pub struct ModelEntry {
    /// What was written.
    pub declaration: Arc<ModelDeclaration>,
    /// The whole statement.
    pub span: Span,
    /// Its doc comment.
    pub docs: Vec<String>,
}

impl ModelEntry {
    /// Whether it has parameters and must be called.
    pub fn is_template(&self) -> bool {
        self.declaration.params.is_some()
    }
}

/// A declared parameter and its value.
#[derive(Debug, Clone, PartialEq)]
pub struct Param {
    /// The value, after `--set`.
    pub value: Constant,
    /// Where it is declared.
    pub span: Span,
}

/// Everything declared, by kind and name, in text order.
#[derive(Debug, Clone, Default)]
pub struct Declarations {
    /// Parameters.
    pub params: IndexMap<String, Param>,
    /// Modes and families of modes outside models.
    pub modes: IndexMap<String, ModeEntry>,
    /// Tensors.
    pub tensors: IndexMap<String, TensorEntry>,
    /// Models and templates.
    pub models: IndexMap<String, ModelEntry>,
    /// Tables of numbers from files, by the path as it is written.
    pub tables: Tables,
    /// Parameters that have no value, with the reason; what uses one is wrong for the same reason.
    pub failed: HashMap<String, Diagnostic>,
}

/// Tables of numbers from files, or why there is none.
pub type Tables = HashMap<String, Result<Arc<super::numbers::Numbers>, Diagnostic>>;

/// A value given from outside for a parameter: its name and an expression.
pub type Setting = (String, Expr);

impl Declarations {
    /// Collects the declarations of one or more files that were read together.
    pub fn collect<'p>(
        programs: impl IntoIterator<Item = &'p Program>,
        settings: &[Setting],
    ) -> (Declarations, Vec<Diagnostic>) {
        Self::collect_with(programs, settings, Tables::new())
    }

    /// As [`Declarations::collect`], with the files that `table` names.
    pub fn collect_with<'p>(
        programs: impl IntoIterator<Item = &'p Program>,
        settings: &[Setting],
        tables: Tables,
    ) -> (Declarations, Vec<Diagnostic>) {
        let mut declarations = Declarations { tables, ..Declarations::default() };
        let mut diagnostics = Vec::new();
        let mut params: IndexMap<String, &ParamDeclaration> = IndexMap::new();
        let mut modes: Vec<&ModeDeclaration> = Vec::new();
        for statement in programs.into_iter().flat_map(|p| &p.statements) {
            match &statement.kind {
                StatementKind::Param(list) => {
                    for param in list {
                        let earlier = params.get(&param.name.name).map(|p| p.name.span);
                        match earlier {
                            Some(first) => {
                                diagnostics.push(twice("param", &param.name.name, param.name.span, first))
                            }
                            None => {
                                params.insert(param.name.name.clone(), param);
                            }
                        }
                    }
                }
                StatementKind::Mode(list) => modes.extend(list),
                _ => declarations.collect_block(statement, &mut diagnostics),
            }
        }
        declarations.evaluate_params(&params, settings, &mut diagnostics);
        for declaration in modes {
            let name = &declaration.name;
            if let Some(first) = declarations.modes.get(&name.name) {
                diagnostics.push(twice("mode", &name.name, name.span, first.span));
                continue;
            }
            let entry = mode_entry(declaration, &declarations.names());
            match entry {
                Ok(entry) => {
                    declarations.modes.insert(name.name.clone(), entry);
                }
                Err(diagnostic) => {
                    diagnostics.push(diagnostic);
                    // known all the same, and fits any data, so that its uses are not reported as well
                    let entry = ModeEntry {
                        name: name.name.clone(),
                        sizes: Vec::new(),
                        levels: None,
                        order: Order::Nominal,
                        span: name.span,
                        wrong: true,
                    };
                    declarations.modes.insert(name.name.clone(), entry);
                }
            }
        }
        for (name, entry) in &declarations.modes {
            if let Some(param) = declarations.params.get(name) {
                diagnostics.push(twice("name", name, entry.span.max(param.span), entry.span.min(param.span)));
            }
        }
        (declarations, diagnostics)
    }

    fn collect_block(&mut self, statement: &Statement, diagnostics: &mut Vec<Diagnostic>) {
        match &statement.kind {
            StatementKind::Data(declaration) => {
                let name = &declaration.name;
                if let Some(first) = self.tensors.get(&name.name) {
                    diagnostics.push(twice("data", &name.name, name.span, first.declaration.name.span));
                    return;
                }
                let entry =
                    TensorEntry { declaration: Arc::new((**declaration).clone()), span: statement.span };
                self.tensors.insert(name.name.clone(), entry);
            }
            StatementKind::Model(declaration) => {
                let name = &declaration.name;
                if let Some(first) = self.models.get(&name.name) {
                    diagnostics.push(twice("model", &name.name, name.span, first.declaration.name.span));
                    return;
                }
                let entry = ModelEntry {
                    declaration: Arc::new(declaration.clone()),
                    span: statement.span,
                    docs: statement.docs.clone(),
                };
                self.models.insert(name.name.clone(), entry);
            }
            _ => {}
        }
    }

    fn evaluate_params(
        &mut self,
        params: &IndexMap<String, &ParamDeclaration>,
        settings: &[Setting],
        diagnostics: &mut Vec<Diagnostic>,
    ) {
        let mut given: HashMap<&str, &Expr> = HashMap::new();
        for (name, value) in settings {
            if !params.contains_key(name) {
                let near = suggest::nearest(name, params.keys().map(String::as_str));
                let mut diagnostic =
                    Diagnostic::new(Code::MBA104, format!("there is no param `{name}` to set"))
                        .at(value.span, "set here");
                diagnostic.help = Some(match near {
                    Some(near) => format!("did you mean `{near}`?"),
                    None if params.is_empty() => "the program declares no params".into(),
                    None => format!(
                        "the params are {}",
                        suggest::list(&params.keys().map(String::as_str).collect::<Vec<_>>())
                    ),
                });
                diagnostics.push(diagnostic);
            }
            given.insert(name, value);
        }
        let tables = &self.tables.clone();
        let evaluator =
            ParamNames { params, given, tables, done: RefCell::default(), open: RefCell::default() };
        for (name, declaration) in params {
            let value = match evaluator.value(name) {
                Some(Ok(value)) => value,
                Some(Err(diagnostic)) => {
                    // a chain of params that all depend on one mistake is one mistake
                    if !diagnostics.contains(&diagnostic) {
                        diagnostics.push(diagnostic.clone());
                    }
                    self.failed.insert(name.clone(), diagnostic);
                    Constant::Number(f64::NAN)
                }
                None => continue,
            };
            self.params.insert(name.clone(), Param { value, span: declaration.name.span });
        }
    }

    /// Params as names in an expression.
    pub fn names(&self) -> impl Names + '_ {
        DeclaredNames(self)
    }

    /// The value of a parameter, or why it has none.
    pub fn param(&self, name: &str) -> Option<Result<Constant, Diagnostic>> {
        match self.failed.get(name) {
            Some(diagnostic) => Some(Err(diagnostic.clone())),
            None => self.params.get(name).map(|p| Ok(p.value.clone())),
        }
    }

    /// The mode of this name, or a diagnostic that suggests another.
    pub fn mode(&self, name: &str, span: Span) -> Result<&ModeEntry, Diagnostic> {
        self.modes.get(name).ok_or_else(|| {
            let near = suggest::nearest(name, self.modes.keys().map(String::as_str));
            unknown("mode", name, span, near, format!("declare it: `mode {name}`"))
        })
    }

    /// The tensor of this name, or a diagnostic that suggests another.
    pub fn tensor(&self, name: &str, span: Span) -> Result<&TensorEntry, Diagnostic> {
        self.tensors.get(name).ok_or_else(|| {
            let near = suggest::nearest(name, self.tensors.keys().map(String::as_str));
            unknown("data", name, span, near, format!("declare it: `data {name}[…] from \"…\"`"))
        })
    }

    /// The model of this name, or a diagnostic that suggests another.
    pub fn model(&self, name: &str, span: Span) -> Result<&ModelEntry, Diagnostic> {
        self.models.get(name).ok_or_else(|| {
            let near = suggest::nearest(name, self.models.keys().map(String::as_str));
            unknown("model", name, span, near, format!("declare it: `model {name} {{ … }}`"))
        })
    }

    /// What is neither a family nor a model, where either would do; suggests the nearest of both.
    pub fn no_family(&self, what: &str, name: &str, span: Span, declare: String) -> Diagnostic {
        let families = FAMILIES.iter().map(|f| f.name);
        let near = suggest::nearest(name, families.chain(self.models.keys().map(String::as_str)));
        unknown(what, name, span, near, declare)
    }
}

/// "There is no … called …", with the nearest name as a fix.
pub fn unknown(what: &str, name: &str, span: Span, near: Option<&str>, declare: String) -> Diagnostic {
    let diagnostic = Diagnostic::new(Code::MBA101, format!("there is no {what} called `{name}`"));
    match near {
        Some(near) => diagnostic
            .at(span, format!("did you mean `{near}`?"))
            .help(format!("write `{near}`, or {declare}"))
            .replace(span, near, format!("write `{near}`")),
        None => diagnostic.at(span, "unknown name").help(declare),
    }
}

fn twice(what: &str, name: &str, second: Span, first: Span) -> Diagnostic {
    Diagnostic::new(Code::MBA103, format!("{what} `{name}` is declared twice"))
        .at(second, "declared again")
        .at(first, "first declared here")
        .help("rename one of them, or remove it")
}

struct DeclaredNames<'a>(&'a Declarations);

impl Names for DeclaredNames<'_> {
    fn lookup(&self, name: &str, _span: Span) -> Option<Result<Constant, Diagnostic>> {
        self.0.param(name)
    }
    fn known(&self) -> Vec<String> {
        self.0.params.keys().cloned().collect()
    }
    fn table(&self, path: &str) -> Option<Result<Arc<super::numbers::Numbers>, Diagnostic>> {
        self.0.tables.get(path).cloned()
    }
}

/// Params that are evaluated when they are first needed.
struct ParamNames<'a> {
    params: &'a IndexMap<String, &'a ParamDeclaration>,
    given: HashMap<&'a str, &'a Expr>,
    tables: &'a Tables,
    done: RefCell<HashMap<String, Result<Constant, Diagnostic>>>,
    open: RefCell<Vec<String>>,
}

impl ParamNames<'_> {
    fn value(&self, name: &str) -> Option<Result<Constant, Diagnostic>> {
        let declaration = self.params.get(name)?;
        if let Some(done) = self.done.borrow().get(name) {
            return Some(done.clone());
        }
        let position = self.open.borrow().iter().position(|n| n == name);
        if let Some(position) = position {
            let mut cycle = self.open.borrow()[position..].to_vec();
            cycle.push(name.to_string());
            return Some(Err(Diagnostic::new(Code::MBA107, format!("param `{name}` depends on itself"))
                .at(declaration.name.span, cycle.join(" → "))
                .help("give one of them a number")));
        }
        self.open.borrow_mut().push(name.to_string());
        let expr = self.given.get(name).copied().unwrap_or(&declaration.value);
        let result = constant::evaluate(expr, self);
        self.open.borrow_mut().pop();
        self.done.borrow_mut().insert(name.to_string(), result.clone());
        Some(result)
    }
}

impl Names for ParamNames<'_> {
    fn lookup(&self, name: &str, _span: Span) -> Option<Result<Constant, Diagnostic>> {
        self.value(name)
    }
    fn known(&self) -> Vec<String> {
        self.params.keys().cloned().collect()
    }
    fn table(&self, path: &str) -> Option<Result<Arc<super::numbers::Numbers>, Diagnostic>> {
        self.tables.get(path).cloned()
    }
}

/// A mode as declared, its sizes and levels evaluated.
pub fn mode_entry(declaration: &ModeDeclaration, names: &dyn Names) -> Result<ModeEntry, Diagnostic> {
    let sizes =
        declaration.sizes.iter().map(|e| constant::whole(e, 1, names)).collect::<Result<Vec<_>, _>>()?;
    let members = sizes.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
    if members.is_none_or(|n| n > super::family::MAX_INTERACTIONS) {
        return Err(Diagnostic::new(
            Code::MBA222,
            format!("family `{}` is too large", declaration.name.name),
        )
        .at(declaration.name.span, "more than a million modes")
        .help("choose smaller sizes"));
    }
    let order = match declaration.order.as_ref().map(|o| o.name.as_str()) {
        Some("cyclic") => Order::Cyclic,
        Some(_) => Order::Ordered,
        None => Order::Nominal,
    };
    let levels = declaration.levels.as_ref().map(|e| levels(e, names)).transpose()?;
    Ok(ModeEntry {
        name: declaration.name.name.clone(),
        sizes,
        levels,
        order,
        span: declaration.name.span,
        wrong: false,
    })
}

fn levels(expr: &Expr, names: &dyn Names) -> Result<Levels, Diagnostic> {
    match &expr.kind {
        ExprKind::Set(members) => {
            let mut levels: IndexSet<Level> = IndexSet::new();
            for member in members {
                for level in level_of(member, names)? {
                    let label = level.label().into_owned();
                    if let Level::Number(x) = level
                        && !x.is_finite()
                    {
                        return Err(Diagnostic::new(Code::MBA222, format!("`{label}` cannot be a level"))
                            .at(member.span, "not a finite number")
                            .help("levels are names or finite numbers"));
                    }
                    if !levels.insert(level) {
                        return Err(Diagnostic::new(
                            Code::MBA222,
                            format!("level `{label}` is listed twice"),
                        )
                        .at(member.span, "listed again")
                        .help("list each level once"));
                    }
                }
            }
            if levels.is_empty() {
                return Err(Diagnostic::new(Code::MBA222, "a mode has at least one level")
                    .at(expr.span, "no levels")
                    .help("list its levels, or leave them out to take them from the data"));
            }
            Ok(Levels::Listed(Arc::new(levels)))
        }
        ExprKind::Call { callee, arguments, .. } if matches!(&callee.kind, ExprKind::Name(n) if n == "bins") =>
        {
            let edges = arguments
                .iter()
                .map(|a| constant::number(&a.value, names))
                .collect::<Result<Vec<f64>, _>>()?;
            let increasing = edges.windows(2).all(|w| w[0] < w[1]);
            if edges.len() < 2 || !increasing {
                return Err(Diagnostic::new(Code::MBA222, "`bins` takes two or more increasing edges")
                    .at(expr.span, "these are not")
                    .help("`bins(0, 18, 65)` are the levels [0, 18) and [18, 65]; edges may be `-inf` and `inf`"));
            }
            Ok(Levels::Binned(edges.into()))
        }
        _ => {
            let n = constant::whole(expr, 1, names)?;
            if n > MAX_LEVELS {
                return Err(Diagnostic::new(Code::MBA222, format!("{n} levels are too many"))
                    .at(expr.span, format!("at most {MAX_LEVELS}"))
                    .help("choose a smaller size"));
            }
            Ok(Levels::Counted(n))
        }
    }
}

/// The levels one member of a set stands for: one, or several for a range of numbers.
fn level_of(member: &Expr, names: &dyn Names) -> Result<Vec<Level>, Diagnostic> {
    Ok(match &member.kind {
        ExprKind::Name(name) | ExprKind::Text(name) => vec![Level::Name(name.clone())],
        ExprKind::Truth(t) => vec![Level::Name(t.to_string())],
        _ => match constant::evaluate(member, names)? {
            Constant::Number(x) => vec![Level::Number(x)],
            Constant::Text(t) => vec![Level::Name(t)],
            Constant::List(items) => items
                .iter()
                .map(|i| constant::number_of(i, member.span).map(Level::Number))
                .collect::<Result<_, _>>()?,
            other => {
                return Err(Diagnostic::new(Code::MBA222, format!("{} cannot be a level", other.kind()))
                    .at(member.span, "not a level")
                    .help("levels are names or numbers"));
            }
        },
    })
}
