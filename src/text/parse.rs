//! From text to syntax tree.
//!
//! Statements, items of models and lines of tests are parsed one by one: what does not parse is
//! reported on its own and left out, and everything else is read.

use pest::Parser;
use pest::error::Error;
use pest::iterators::{Pair, Pairs};
use pest::pratt_parser::{Assoc, Op, PrattParser};

use super::ast::*;
use super::codes::Code;
use super::diagnostic::Diagnostic;
use super::grammar::{MbaParser, Rule};
use super::scan::{self, Scan};
use super::span::{SourceId, Span};
use super::syntax_errors;
use std::sync::LazyLock;

/// Operators and operands beyond this, an expression with those around it, are refused: a syntax
/// tree is no deeper than that, and no later recursion can exhaust the stack.
const MAX_OPERATORS: usize = 1000;

/// Parses a whole file. Always returns what could be read; the diagnostics say what could not.
///
/// Cost: linear in the length of the text.
pub fn parse(source: SourceId, text: &str) -> (Program, Vec<Diagnostic>) {
    let scan = scan::scan(source, text);
    let mut builder = Builder { source, scan: &scan, diagnostics: scan.diagnostics.clone(), operators: 0 };
    let mut program = builder.program();
    let mut diagnostics = builder.diagnostics;
    diagnostics.sort_by_key(|d| d.span().map(|s| s.start));
    program.comments = comments(source, text, &scan);
    attach_docs(&mut program.statements, &program.comments, text);
    if !diagnostics.is_empty() {
        program.broken = broken_names(text, &program.statements);
    }
    (program, diagnostics)
}

/// The names that lines outside every statement that parsed seem to declare.
fn broken_names(text: &str, statements: &[Statement]) -> Vec<String> {
    let mut names = Vec::new();
    let mut start = 0;
    let mut later = statements.iter().map(|s| (s.span.start, s.span.end)).peekable();
    for line in text.split_inclusive('\n') {
        let at = start + line.len() - line.trim_start().len();
        start += line.len();
        while later.next_if(|(_, end)| *end <= at).is_some() {}
        if later.peek().is_some_and(|(from, _)| *from <= at) {
            continue;
        }
        let word = |c: char| c.is_alphanumeric() || c == '_';
        let mut words = line.split(|c| !word(c)).filter(|w| !w.is_empty());
        match words.next() {
            Some("data" | "model" | "fit") => names.extend(words.next().map(str::to_string)),
            Some("mode" | "param") => names.extend(words.map(str::to_string)),
            _ => {}
        }
        // a fit declares the name after `as`
        let mut words = line.split(|c| !word(c)).filter(|w| !w.is_empty()).skip_while(|w| *w != "as");
        names.extend(words.nth(1).map(str::to_string));
    }
    names
}

/// Parses a text that is one expression.
pub fn parse_expression(source: SourceId, text: &str) -> Result<Expr, Vec<Diagnostic>> {
    let scan = scan::scan(source, text);
    let mut builder = Builder { source, scan: &scan, diagnostics: scan.diagnostics.clone(), operators: 0 };
    if !builder.diagnostics.is_empty() {
        return Err(builder.diagnostics);
    }
    let expr = match MbaParser::parse(Rule::only_expression, &scan.text) {
        Ok(pairs) => pairs.flatten().find(|p| p.as_rule() == Rule::expression).map(|p| builder.expression(p)),
        Err(error) => {
            builder.refuse(Rule::only_expression, 0, scan.text.len(), &error);
            None
        }
    };
    match expr {
        Some(expr) if builder.diagnostics.is_empty() => Ok(expr),
        _ => Err(builder.diagnostics),
    }
}

struct Builder<'t> {
    source: SourceId,
    scan: &'t Scan,
    diagnostics: Vec<Diagnostic>,
    /// Operators, operands and postfixes of the expression being read and those around it.
    operators: usize,
}

static PRATT: LazyLock<PrattParser<Rule>> = LazyLock::new(|| {
    use Assoc::{Left, Right};
    PrattParser::new()
        .op(Op::infix(Rule::logical_or, Left))
        .op(Op::infix(Rule::logical_and, Left))
        .op(Op::prefix(Rule::invert))
        .op(Op::infix(Rule::approximately, Left)
            | Op::infix(Rule::equal, Left)
            | Op::infix(Rule::unequal, Left)
            | Op::infix(Rule::at_most, Left)
            | Op::infix(Rule::at_least, Left)
            | Op::infix(Rule::below, Left)
            | Op::infix(Rule::above, Left)
            | Op::infix(Rule::element_of, Left))
        .op(Op::infix(Rule::range, Left))
        .op(Op::infix(Rule::add, Left) | Op::infix(Rule::subtract, Left))
        .op(Op::infix(Rule::multiply, Left)
            | Op::infix(Rule::divide, Left)
            | Op::infix(Rule::remainder, Left))
        .op(Op::prefix(Rule::negate) | Op::prefix(Rule::plus))
        .op(Op::infix(Rule::power, Right))
});

fn binary(rule: Rule) -> Binary {
    match rule {
        Rule::logical_or => Binary::Or,
        Rule::logical_and => Binary::And,
        Rule::approximately => Binary::Approximately,
        Rule::equal => Binary::Equal,
        Rule::unequal => Binary::Unequal,
        Rule::at_most => Binary::AtMost,
        Rule::at_least => Binary::AtLeast,
        Rule::below => Binary::Below,
        Rule::above => Binary::Above,
        Rule::element_of => Binary::In,
        Rule::range => Binary::Range,
        Rule::add => Binary::Add,
        Rule::subtract => Binary::Subtract,
        Rule::multiply => Binary::Multiply,
        Rule::divide => Binary::Divide,
        Rule::remainder => Binary::Remainder,
        _ => Binary::Power,
    }
}

impl Builder<'_> {
    fn span(&self, pair: &Pair<'_, Rule>) -> Span {
        let start = pair.as_span().start();
        self.at(start, start + pair.as_str().trim_end_matches(is_blank).len())
    }

    /// The span in the user's text of a piece of what the scan left of it.
    fn at(&self, start: usize, end: usize) -> Span {
        let (start, end) = self.scan.original(start, end);
        Span::new(self.source, start, end)
    }

    fn program(&mut self) -> Program {
        let mut program = Program::default();
        let scan = self.scan;
        match MbaParser::parse(Rule::program, &scan.text) {
            Ok(pairs) => {
                let top = pairs.into_iter().flat_map(Pair::into_inner);
                for pair in top.filter(|p| p.as_rule() == Rule::statements).flat_map(Pair::into_inner) {
                    if pair.as_rule() == Rule::broken {
                        self.broken(Rule::only_statement, &pair);
                    } else if let Some(statement) = self.statement(pair) {
                        program.statements.push(statement);
                    }
                }
            }
            Err(error) => self.refuse(Rule::program, 0, scan.text.len(), &error),
        }
        program
    }

    /// Explains why a piece of what the scan left, parsed by itself, was refused.
    fn refuse(&mut self, rule: Rule, start: usize, end: usize, error: &Error<Rule>) {
        let scan = self.scan;
        let mut diagnostic = syntax_errors::explain(self.source, &scan.text, start, end, rule, error);
        for label in &mut diagnostic.labels {
            label.span = self.at(label.span.start, label.span.end);
        }
        for (span, _) in diagnostic.fix.iter_mut().flat_map(|fix| &mut fix.edits) {
            *span = self.at(span.start, span.end);
        }
        self.diagnostics.push(diagnostic);
    }

    /// Reports what is wrong with a statement or item that was taken as broken.
    fn broken(&mut self, rule: Rule, pair: &Pair<'_, Rule>) {
        let start = pair.as_span().start();
        let matter = pair.as_str().trim_end_matches(is_blank);
        if matter.trim_matches(is_blank).is_empty() {
            return;
        }
        let end = start + matter.len();
        match MbaParser::parse(rule, matter) {
            Err(error) => self.refuse(rule, start, end, &error),
            // it parses alone, so what is wrong is what it stands next to
            Ok(_) => {
                let span = self.at(start, end);
                self.diagnostics.push(syntax_errors::unfinished(span));
            }
        }
    }

    fn statement(&mut self, pair: Pair<'_, Rule>) -> Option<Statement> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let mut inner = children(pair);
        let kind = match rule {
            Rule::mode_statement => StatementKind::Mode(inner.map(|p| self.mode_declaration(p)).collect()),
            Rule::param_statement => StatementKind::Param(
                inner
                    .map(|p| {
                        let mut inner = children(p);
                        Some(ParamDeclaration {
                            name: self.ident(inner.next()?),
                            value: self.expression(inner.next()?),
                        })
                    })
                    .collect::<Option<_>>()?,
            ),
            Rule::data_statement => StatementKind::Data(Box::new(self.data(inner)?)),
            Rule::use_statement => {
                let what = inner.next()?;
                StatementKind::Use(if what.as_rule() == Rule::string {
                    Use::File(self.text(what))
                } else {
                    Use::Library(self.ident(what))
                })
            }
            Rule::model_statement => StatementKind::Model(self.model(inner)?),
            Rule::fit_statement => StatementKind::Fit(self.fit(inner)?),
            Rule::load_statement => {
                StatementKind::Load { path: self.text(inner.next()?), name: self.ident(inner.next()?) }
            }
            Rule::balance_statement => {
                let kernel = self.expression(inner.next()?);
                let margins = self.call(inner.next()?)?;
                let (method, name, options) = self.fit_tail(inner);
                StatementKind::Balance(Balance { kernel, margins, method, name, options })
            }
            Rule::sweep_statement => StatementKind::Sweep(Box::new(Sweep {
                model: self.expression(inner.next()?),
                over: self.ident(inner.next()?),
                range: self.expression(inner.next()?),
                step: self.expression(inner.next()?),
                name: inner.next().and_then(|p| children(p).next()).map(|p| self.ident(p)),
            })),
            Rule::estimate_statement => StatementKind::Estimate(Box::new(self.estimate(inner)?)),
            Rule::show_statement => StatementKind::Show(inner.map(|p| self.expression(p)).collect()),
            Rule::save_statement => {
                StatementKind::Save { value: self.expression(inner.next()?), path: self.text(inner.next()?) }
            }
            Rule::plot_statement => {
                let (mut values, mut path) = (Vec::new(), None);
                for p in inner {
                    match p.as_rule() {
                        Rule::string => path = Some(self.text(p)),
                        _ => values.push(self.expression(p)),
                    }
                }
                StatementKind::Plot { values, path }
            }
            Rule::test_statement => {
                let name = self.text(inner.next()?);
                let items = inner.flat_map(children).filter_map(|p| self.test_item(p)).collect();
                StatementKind::Test(Test { name, items })
            }
            _ => return None,
        };
        Some(Statement { kind, span, docs: Vec::new() })
    }

    fn mode_declaration(&mut self, pair: Pair<'_, Rule>) -> ModeDeclaration {
        let span = self.span(&pair);
        let mut declaration = ModeDeclaration {
            name: Ident { name: String::new(), span },
            sizes: Vec::new(),
            levels: None,
            order: None,
        };
        for part in children(pair) {
            match part.as_rule() {
                Rule::name => declaration.name = self.ident(part),
                Rule::family_sizes => {
                    declaration.sizes = children(part).map(|p| self.expression(p)).collect();
                }
                Rule::level_set => {
                    declaration.levels = children(part).next().map(|p| self.set_or_expression(p));
                }
                Rule::level_order => declaration.order = Some(self.ident(part)),
                _ => {}
            }
        }
        declaration
    }

    fn set_or_expression(&mut self, pair: Pair<'_, Rule>) -> Expr {
        if pair.as_rule() == Rule::set {
            let span = self.span(&pair);
            let members = children(pair).map(|p| self.expression(p)).collect();
            Expr { kind: ExprKind::Set(members), span }
        } else {
            self.expression(pair)
        }
    }

    fn data<'a>(&mut self, mut inner: impl Iterator<Item = Pair<'a, Rule>>) -> Option<DataDeclaration> {
        let name = self.ident(inner.next()?);
        let axes = self.axes(inner.next()?);
        let value = inner.next()?;
        if value.as_rule() == Rule::expression {
            let source = DataSource::Value(self.expression(value));
            let clauses = inner
                .filter_map(|p| children(p).next())
                .map(|p| self.data_clause(p))
                .collect::<Option<Vec<_>>>()?;
            return Some(DataDeclaration { name, axes, source, clauses });
        }
        let mut parts = children(value);
        let first = parts.next()?;
        let source = if first.as_rule() == Rule::coordinates {
            let mut texts = children(first);
            DataSource::Coordinates { coords: self.text(texts.next()?), values: self.text(texts.next()?) }
        } else {
            DataSource::File(self.text(first))
        };
        let clauses = parts
            .filter_map(|p| children(p).next())
            .map(|p| self.data_clause(p))
            .collect::<Option<Vec<_>>>()?;
        Some(DataDeclaration { name, axes, source, clauses })
    }

    fn axes(&mut self, pair: Pair<'_, Rule>) -> Vec<Axis> {
        children(pair)
            .filter_map(|p| {
                let mut inner = children(p);
                let mode = self.ident(inner.next()?);
                let column = inner.next().map(|p| self.column(p));
                Some(Axis { mode, column })
            })
            .collect()
    }

    /// A column or key: a string or a bare word.
    fn column(&mut self, pair: Pair<'_, Rule>) -> Text {
        match pair.as_rule() {
            Rule::string => self.text(pair),
            Rule::column => match children(pair.clone()).next() {
                Some(p) => self.column(p),
                None => Text { value: pair.as_str().to_string(), span: self.span(&pair) },
            },
            _ => Text { value: pair.as_str().to_string(), span: self.span(&pair) },
        }
    }

    fn data_clause(&mut self, pair: Pair<'_, Rule>) -> Option<DataClause> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        let missing = pair.as_str().starts_with("missing");
        let mut inner = children(pair);
        Some(match rule {
            Rule::count_clause => DataClause::Count(self.column(inner.next()?)),
            Rule::sum_clause => DataClause::Sum(self.column(inner.next()?)),
            Rule::format_clause => DataClause::Format(self.ident(inner.next()?)),
            Rule::key_clause => DataClause::Key(self.column(inner.next()?)),
            Rule::drop_clause => DataClause::Drop(self.ident(inner.next()?)),
            Rule::mask_from => {
                let path = self.text(inner.find(|p| p.as_rule() == Rule::string)?);
                DataClause::MaskFile { missing, file: self.array_file(path, inner), span }
            }
            _ => DataClause::MaskWhere {
                missing,
                condition: self.expression(inner.find(|p| p.as_rule() == Rule::expression)?),
                span,
            },
        })
    }

    /// The axes and the key that follow the path of an array.
    fn array_file<'a>(&mut self, path: Text, rest: impl Iterator<Item = Pair<'a, Rule>>) -> ArrayFile {
        let mut file = ArrayFile { path, axes: Vec::new(), key: None };
        for part in rest {
            match part.as_rule() {
                Rule::key_clause => file.key = children(part).next().map(|p| self.column(p)),
                _ => file.axes = self.axes(part),
            }
        }
        file
    }

    fn model<'a>(&mut self, mut inner: impl Iterator<Item = Pair<'a, Rule>>) -> Option<ModelDeclaration> {
        let name = self.ident(inner.next()?);
        let (mut params, mut over, mut items) = (None, None, Vec::new());
        for part in inner {
            match part.as_rule() {
                Rule::template_params => {
                    let list = children(part).filter_map(|p| {
                        let mut inner = children(p);
                        let name = self.ident(inner.next()?);
                        let default = inner.next().map(|p| self.expression(p));
                        Some(TemplateParam { name, default })
                    });
                    params = Some(list.collect());
                }
                Rule::over => over = Some(self.mode_refs(part)),
                _ => items = self.model_items(part),
            }
        }
        Some(ModelDeclaration { name, params, over, items })
    }

    /// The mode references somewhere directly inside a pair, lists unwrapped.
    fn mode_refs(&mut self, pair: Pair<'_, Rule>) -> Vec<ModeRef> {
        let mut refs = Vec::new();
        for part in children(pair) {
            match part.as_rule() {
                Rule::mode_reference => refs.push(self.mode_ref(part)),
                Rule::mode_list => refs.extend(self.mode_refs(part)),
                _ => {}
            }
        }
        refs
    }

    fn mode_ref(&mut self, pair: Pair<'_, Rule>) -> ModeRef {
        let span = self.span(&pair);
        let mut name = Ident { name: String::new(), span };
        let mut index = Vec::new();
        for part in children(pair) {
            match part.as_rule() {
                Rule::name => name = self.ident(part),
                _ => index = children(part).map(|p| self.expression(p)).collect(),
            }
        }
        ModeRef { name, index, span }
    }

    fn interaction(&mut self, pair: Pair<'_, Rule>) -> InteractionTerm {
        let span = self.span(&pair);
        let mut modes = Vec::new();
        let mut commas = Vec::new();
        for part in children(pair) {
            match part.as_rule() {
                Rule::mode_reference => modes.push(self.mode_ref(part)),
                _ => commas.push(self.span(&part)),
            }
        }
        if let Some(first) = commas.first() {
            let mut diagnostic =
                Diagnostic::new(Code::MBA005, "an interaction lists its modes without commas")
                    .at(*first, "this comma")
                    .help("write `[a b]`; lists with commas are for data and `over`");
            diagnostic.fix = Some(super::diagnostic::Fix {
                message: "remove the commas".into(),
                edits: commas.into_iter().map(|s| (s, String::new())).collect(),
            });
            self.diagnostics.push(diagnostic);
        }
        InteractionTerm { modes, span }
    }

    fn model_items(&mut self, block: Pair<'_, Rule>) -> Vec<ModelItem> {
        let mut items = Vec::new();
        for pair in children(block) {
            if pair.as_rule() == Rule::broken_item {
                self.broken(Rule::only_model_line, &pair);
            } else if let Some(item) = self.model_item(pair) {
                items.push(item);
            }
        }
        items
    }

    fn model_item(&mut self, pair: Pair<'_, Rule>) -> Option<ModelItem> {
        let span = self.span(&pair);
        let rule = pair.as_rule();
        if rule == Rule::interaction {
            return Some(ModelItem { kind: ModelItemKind::Interaction(self.interaction(pair)), span });
        }
        let mut inner = children(pair);
        let kind = match rule {
            Rule::family => {
                let call = self.call(inner.next()?)?;
                let over = inner.next().map(|p| self.mode_refs(p));
                ModelItemKind::Family { call, over }
            }
            Rule::without => ModelItemKind::Without(inner.map(|p| self.interaction(p)).collect()),
            Rule::switched => ModelItemKind::Switched {
                interaction: self.interaction(inner.next()?),
                condition: self.expression(inner.find(|p| p.as_rule() == Rule::expression)?),
            },
            Rule::potential => {
                let interaction = self.interaction(inner.next()?);
                let value = inner.next()?;
                if value.as_rule() == Rule::learned {
                    let mut parts = children(value);
                    ModelItemKind::Learned {
                        interaction,
                        coefficient: self.mode_ref(parts.next()?),
                        statistic: parts.next().map(|p| self.expression(p)),
                    }
                } else {
                    ModelItemKind::Fixed { interaction, energy: self.expression(value) }
                }
            }
            Rule::local_mode => ModelItemKind::Mode(inner.map(|p| self.mode_declaration(p)).collect()),
            Rule::latent => ModelItemKind::Latent(inner.map(|p| self.mode_declaration(p)).collect()),
            Rule::temperature => ModelItemKind::Temperature(self.expression(inner.next()?)),
            Rule::algebra => ModelItemKind::Algebra(self.expression(inner.next()?)),
            Rule::forbid => ModelItemKind::Forbid(self.expression(inner.next()?)),
            Rule::given => ModelItemKind::Given(
                inner
                    .map(|p| {
                        let mut parts = children(p);
                        Some((self.mode_ref(parts.next()?), self.expression(parts.next()?)))
                    })
                    .collect::<Option<_>>()?,
            ),
            Rule::tie => ModelItemKind::Tie(self.interaction(inner.next()?), self.interaction(inner.next()?)),
            Rule::prior => ModelItemKind::Prior {
                strength: self.expression(inner.next()?),
                toward: match inner.next() {
                    Some(p) => Some(self.call(p)?),
                    None => None,
                },
            },
            Rule::smooth => {
                let interaction = self.interaction(inner.next()?);
                let along = self.mode_ref(inner.next()?);
                let strength = self.expression(inner.next()?);
                ModelItemKind::Smooth { interaction, along, strength }
            }
            Rule::mix => ModelItemKind::Mix(self.expression(inner.next()?)),
            Rule::for_item => {
                let names = children(inner.next()?).map(|p| self.ident(p)).collect();
                let over = self.expression(inner.next()?);
                let items = self.model_items(inner.next()?);
                ModelItemKind::For { names, over, items }
            }
            _ => return None,
        };
        Some(ModelItem { kind, span })
    }

    fn call(&mut self, pair: Pair<'_, Rule>) -> Option<Call> {
        let span = self.span(&pair);
        if pair.as_rule() == Rule::name {
            return Some(Call { name: self.ident(pair), arguments: Vec::new(), span });
        }
        let mut inner = children(pair);
        let name = self.ident(inner.next()?);
        let (arguments, condition) = inner.next().map(|p| self.arguments(p)).unwrap_or_default();
        if let Some(stray) = condition.first() {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA001, "a condition has no meaning here")
                    .at(stray.value.span, "after the bar")
                    .help("`|` belongs to results, as in `f.conditional(a | b: x)`"),
            );
        }
        Some(Call { name, arguments, span })
    }

    fn fit<'a>(&mut self, mut inner: impl Iterator<Item = Pair<'a, Rule>>) -> Option<Fit> {
        let model = self.call(children(inner.next()?).next()?)?;
        let mut targets = Vec::new();
        let mut rest = Vec::new();
        for part in inner {
            if part.as_rule() == Rule::target {
                let mut parts = children(part);
                targets.push((self.ident(parts.next()?), parts.next().map(|p| self.expression(p))));
            } else {
                rest.push(part);
            }
        }
        let (method, name, options) = self.fit_tail(rest.into_iter());
        Some(Fit { model, targets, method, name, options })
    }

    fn estimate<'a>(&mut self, mut inner: impl Iterator<Item = Pair<'a, Rule>>) -> Option<Estimate> {
        let model = self.call(children(inner.next()?).next()?)?;
        let (mut settings, mut rest) = (Vec::new(), Vec::new());
        for part in inner {
            if part.as_rule() == Rule::with_setting {
                for assignment in children(part) {
                    let mut parts = children(assignment);
                    settings.push((self.ident(parts.next()?), self.expression(parts.next()?)));
                }
            } else {
                rest.push(part);
            }
        }
        let (method, name, options) = self.fit_tail(rest.into_iter());
        Some(Estimate { model, settings, method, name, options })
    }

    fn fit_tail<'a>(
        &mut self,
        inner: impl Iterator<Item = Pair<'a, Rule>>,
    ) -> (Option<Ident>, Option<Ident>, Vec<FitOption>) {
        let (mut method, mut name, mut options) = (None, None, Vec::new());
        for part in inner {
            let span = self.span(&part);
            let slot = match part.as_rule() {
                Rule::fit_method => &mut method,
                Rule::fit_name => &mut name,
                _ => {
                    options = children(part).filter_map(|p| self.fit_option(p)).collect();
                    continue;
                }
            };
            let ident = children(part).next().map(|p| self.ident(p));
            if slot.is_some() {
                self.diagnostics.push(
                    Diagnostic::new(Code::MBA001, "this clause is given twice")
                        .at(span, "the second one")
                        .help("keep one of them"),
                );
            }
            *slot = ident;
        }
        (method, name, options)
    }

    fn fit_option(&mut self, pair: Pair<'_, Rule>) -> Option<FitOption> {
        let span = self.span(&pair);
        let mut inner = children(pair);
        let name = self.ident(inner.next()?);
        let mut values = Vec::new();
        for value in inner {
            let at = self.span(&value);
            let text = value.as_str();
            let is_where = text.starts_with("where");
            let mut parts = children(value);
            values.push(match parts.next() {
                None => OptionValue::Arrow(at),
                Some(p) if p.as_rule() == Rule::string => {
                    let path = self.text(p);
                    OptionValue::From(self.array_file(path, parts))
                }
                Some(p) if is_where => OptionValue::Where(self.expression(p)),
                Some(p) => OptionValue::Value(self.expression(p)),
            });
        }
        Some(FitOption { name, values, span })
    }

    fn test_item(&mut self, pair: Pair<'_, Rule>) -> Option<TestItem> {
        let span = self.span(&pair);
        let kind = match pair.as_rule() {
            Rule::broken_item => {
                self.broken(Rule::only_test_line, &pair);
                return None;
            }
            Rule::expect_error => {
                let mut inner = children(pair);
                TestItemKind::ExpectError {
                    code: self.ident(inner.next()?),
                    program: self.text(inner.next()?),
                }
            }
            Rule::expect => {
                let mut inner = children(pair);
                TestItemKind::Expect {
                    condition: self.expression(inner.next()?),
                    within: inner.next().map(|p| self.expression(p)),
                }
            }
            _ => {
                let mut inner = children(pair);
                let value = self.expression(inner.next()?);
                let (mut label, mut within, mut except) = (None, None, None);
                for part in inner {
                    match part.as_rule() {
                        Rule::string => label = Some(self.text(part)),
                        Rule::except => except = children(part).next().map(|p| self.expression(p)),
                        _ => within = Some(self.expression(part)),
                    }
                }
                TestItemKind::Snapshot { value, label, within, except }
            }
        };
        Some(TestItem { kind, span })
    }

    // ------------------------------------------------------------ expressions

    fn expression(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let whole = self.span(&pair);
        let (mut operands, mut settings) = (Vec::new(), Vec::new());
        for part in pair.into_inner() {
            match part.as_rule() {
                Rule::with_setting | Rule::at_setting => settings.push(part),
                _ => operands.push(part),
            }
        }
        let weight = operands.len() + settings.len();
        if self.operators + weight > MAX_OPERATORS {
            return self.too_long(whole);
        }
        self.operators += weight;
        let source = self.source;
        let scan = self.scan;
        let this = std::cell::RefCell::new(&mut *self);
        let mut expr = PRATT
            .map_primary(|p| this.borrow_mut().postfix(p))
            .map_prefix(|op, operand| {
                let kind = match op.as_rule() {
                    Rule::negate => Unary::Negate,
                    Rule::plus => Unary::Plus,
                    _ => Unary::Not,
                };
                let (start, _) = scan.original(op.as_span().start(), op.as_span().end());
                let span = Span::new(source, start, operand.span.end);
                Expr { kind: ExprKind::Unary(kind, Box::new(operand)), span }
            })
            .map_infix(|left, op, right| {
                let span = left.span.to(right.span);
                let kind = ExprKind::Binary(binary(op.as_rule()), Box::new(left), Box::new(right));
                Expr { kind, span }
            })
            .parse(operands.into_iter());
        for setting in settings {
            let span = expr.span.to(self.span(&setting));
            let at = setting.as_rule() == Rule::at_setting;
            let mut inner = children(setting);
            let base = Box::new(expr);
            let kind = if at {
                match inner.next() {
                    Some(p) => ExprKind::At(base, Box::new(self.postfix(p))),
                    None => base.kind,
                }
            } else {
                let pairs = inner.filter_map(|p| {
                    let mut parts = children(p);
                    Some((self.ident(parts.next()?), self.expression(parts.next()?)))
                });
                ExprKind::With(base, pairs.collect())
            };
            expr = Expr { kind, span };
        }
        self.operators -= weight;
        expr
    }

    fn too_long(&mut self, span: Span) -> Expr {
        self.diagnostics.push(
            Diagnostic::new(Code::MBA004, "expression is too long")
                .at(span, format!("more than {MAX_OPERATORS} operators and operands"))
                .help("name its parts with `param`"),
        );
        Expr { kind: ExprKind::Nan, span }
    }

    fn postfix(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let whole = self.span(&pair);
        let mut inner = pair.into_inner();
        let weight = inner.len();
        if self.operators + weight > MAX_OPERATORS {
            return self.too_long(whole);
        }
        self.operators += weight;
        let Some(primary) = inner.next() else {
            return Expr { kind: ExprKind::Missing, span: whole };
        };
        let mut expr = self.primary(primary);
        for part in inner {
            let span = expr.span.to(self.span(&part));
            let base = Box::new(expr);
            let kind = match part.as_rule() {
                Rule::field => match part.into_inner().next() {
                    Some(word) => ExprKind::Field(base, self.ident(word)),
                    None => base.kind,
                },
                Rule::index => ExprKind::Index(base, children(part).map(|p| self.argument(p)).collect()),
                _ => {
                    let (arguments, condition) = self.arguments(part);
                    ExprKind::Call { callee: base, arguments, condition }
                }
            };
            expr = Expr { kind, span };
        }
        self.operators -= weight;
        expr
    }

    fn arguments(&mut self, pair: Pair<'_, Rule>) -> (Vec<Argument>, Vec<Argument>) {
        let (mut arguments, mut condition) = (Vec::new(), Vec::new());
        for part in children(pair) {
            match part.as_rule() {
                Rule::argument => arguments.push(self.argument(part)),
                _ => condition = children(part).map(|p| self.argument(p)).collect(),
            }
        }
        (arguments, condition)
    }

    fn argument(&mut self, pair: Pair<'_, Rule>) -> Argument {
        let span = self.span(&pair);
        let mut argument = Argument { name: None, value: Expr { kind: ExprKind::Missing, span } };
        for part in children(pair) {
            match part.as_rule() {
                Rule::argument_name => argument.name = children(part).next().map(|p| self.argument_name(p)),
                _ => argument.value = self.expression(part),
            }
        }
        argument
    }

    /// The name of an argument; a member of a family is named as its mode is, `s[0, 1]`.
    fn argument_name(&mut self, pair: Pair<'_, Rule>) -> Ident {
        let span = self.span(&pair);
        let mut parts = children(pair);
        let name = parts.next().map_or("", |p| p.as_str()).to_string();
        let index: Vec<&str> = parts.flat_map(children).map(|p| p.as_str().trim()).collect();
        let name = if index.is_empty() { name } else { format!("{name}[{}]", index.join(", ")) };
        Ident { name, span }
    }

    fn primary(&mut self, pair: Pair<'_, Rule>) -> Expr {
        let span = self.span(&pair);
        let Some(inner) = pair.into_inner().next() else {
            return Expr { kind: ExprKind::Missing, span };
        };
        let text = inner.as_str();
        let kind = match inner.as_rule() {
            Rule::number => ExprKind::Number(self.number(text, span)),
            Rule::percent => {
                let digits = inner.into_inner().next().map_or("", |p| p.as_str());
                ExprKind::Percent(self.number(digits, span) / 100.0)
            }
            Rule::string => ExprKind::Text(self.text(inner).value),
            Rule::truth => ExprKind::Truth(text == "true"),
            Rule::kw_nan => ExprKind::Nan,
            Rule::kw_missing => ExprKind::Missing,
            Rule::conditional => self.conditional(inner),
            Rule::list => ExprKind::List(children(inner).map(|p| self.expression(p)).collect()),
            Rule::set => ExprKind::Set(children(inner).map(|p| self.expression(p)).collect()),
            Rule::group => {
                let mut members: Vec<Expr> = children(inner).map(|p| self.expression(p)).collect();
                match (members.len(), members.pop()) {
                    // a pair of brackets around one expression is only a bracket
                    (1, Some(only)) => return Expr { kind: only.kind, span },
                    (_, Some(last)) => {
                        members.push(last);
                        ExprKind::Tuple(members)
                    }
                    (_, None) => ExprKind::Tuple(members),
                }
            }
            _ => ExprKind::Name(text.to_string()),
        };
        Expr { kind, span }
    }

    fn conditional(&mut self, pair: Pair<'_, Rule>) -> ExprKind {
        let span = self.span(&pair);
        let mut parts = Vec::new();
        for part in children(pair) {
            let at = self.span(&part);
            parts.push(match part.as_rule() {
                Rule::conditional => Expr { kind: self.conditional(part), span: at },
                _ => self.expression(part),
            });
        }
        let mut parts = parts.into_iter();
        let absent = || Expr { kind: ExprKind::Missing, span };
        let mut next = || Box::new(parts.next().unwrap_or_else(absent));
        ExprKind::If(next(), next(), next())
    }

    fn number(&mut self, text: &str, span: Span) -> f64 {
        let value: f64 = text.replace('_', "").parse().unwrap_or(f64::INFINITY);
        if !value.is_finite() {
            self.diagnostics.push(
                Diagnostic::new(Code::MBA003, "number is too large")
                    .at(span, "larger than 1.8e308")
                    .help("numbers are double precision"),
            );
        }
        value
    }

    fn ident(&self, pair: Pair<'_, Rule>) -> Ident {
        let span = self.span(&pair);
        Ident { name: pair.as_str().trim_end_matches(is_blank).to_string(), span }
    }

    fn text(&self, pair: Pair<'_, Rule>) -> Text {
        let span = self.span(&pair);
        let raw = pair.into_inner().next().map_or("", |p| p.as_str());
        Text { value: unescape(raw), span }
    }
}

/// What the grammar takes for white space between tokens.
fn is_blank(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\r' | '\n' | '\u{FEFF}')
}

/// The inner pairs, keywords left out.
fn children(pair: Pair<'_, Rule>) -> impl Iterator<Item = Pair<'_, Rule>> {
    let inner: Pairs<'_, Rule> = pair.into_inner();
    // the keywords stand together in the grammar, so that they are a range of its rules
    inner.filter(|p| !(Rule::kw_mode..=Rule::kw_without).contains(&p.as_rule()))
}

fn unescape(raw: &str) -> String {
    let mut text = String::with_capacity(raw.len());
    let mut chars = raw.chars();
    while let Some(c) = chars.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match chars.next() {
            Some('n') => text.push('\n'),
            Some('t') => text.push('\t'),
            Some('u') => {
                let digits: String = chars.by_ref().skip(1).take_while(|c| *c != '}').collect();
                let code = u32::from_str_radix(&digits, 16).ok();
                text.push(code.and_then(char::from_u32).unwrap_or('\u{FFFD}'));
            }
            Some(other) => text.push(other),
            None => {}
        }
    }
    text
}

/// Every comment of a text, in order.
fn comments(source: SourceId, text: &str, scan: &Scan) -> Vec<Comment> {
    let comment = |(start, end): &(usize, usize)| {
        let body = text.get(*start..*end)?.strip_prefix('#')?;
        let doc = body.strip_prefix('#');
        let span = Span::new(source, *start, *end);
        Some(Comment { text: doc.unwrap_or(body).to_string(), doc: doc.is_some(), span })
    };
    scan.comments.iter().filter_map(comment).collect()
}

/// Gives each statement the doc comments on the lines right above it.
fn attach_docs(statements: &mut [Statement], comments: &[Comment], text: &str) {
    let own_line = |c: &&Comment| {
        let before = text.get(..c.span.start).unwrap_or("");
        let line = before.rfind('\n').map_or(before, |i| before.get(i..).unwrap_or(""));
        line.chars().all(|c| is_blank(c) || c == '\n')
    };
    let mut docs = comments.iter().filter(|c| c.doc).filter(own_line).peekable();
    for statement in statements {
        let mut lines: Vec<&Comment> = Vec::new();
        while let Some(comment) = docs.next_if(|c| c.span.start < statement.span.start) {
            let touches = |end: usize, start: usize| {
                text.get(end..start).is_some_and(|between| {
                    between.trim().is_empty() && between.bytes().filter(|b| *b == b'\n').count() == 1
                })
            };
            if lines.last().is_some_and(|last| !touches(last.span.end, comment.span.start)) {
                lines.clear();
            }
            lines.push(comment);
        }
        let near = lines.last().is_some_and(|last| {
            let between = text.get(last.span.end..statement.span.start).unwrap_or("x");
            between.trim().is_empty() && between.bytes().filter(|b| *b == b'\n').count() == 1
        });
        if near {
            let strip = |c: &&Comment| c.text.strip_prefix(' ').unwrap_or(&c.text).to_string();
            statement.docs = lines.iter().map(strip).collect();
        }
    }
}
