//! Every expression of a statement, wherever it stands. Matches name every kind, so that a new one does not
//! compile until it is decided what it holds.

use super::ast::{
    Argument, DataClause, DataSource, Expr, ExprKind, FitOption, InteractionTerm, ModeDeclaration, ModeRef,
    ModelItem, ModelItemKind, OptionValue, Statement, StatementKind, TestItemKind,
};

impl Expr {
    /// The expressions this one is made of. What a call names is one only when more than a name.
    pub fn children(&self) -> Vec<&Expr> {
        fn values(list: &[Argument]) -> impl Iterator<Item = &Expr> {
            list.iter().map(|a| &a.value)
        }
        match &self.kind {
            ExprKind::Number(_)
            | ExprKind::Percent(_)
            | ExprKind::Text(_)
            | ExprKind::Truth(_)
            | ExprKind::Nan
            | ExprKind::Missing
            | ExprKind::Name(_) => Vec::new(),
            ExprKind::Unary(_, a) | ExprKind::Field(a, _) => vec![a],
            ExprKind::Binary(_, a, b) | ExprKind::At(a, b) => vec![a, b],
            ExprKind::If(a, b, c) => vec![a, b, c],
            ExprKind::Call { callee, arguments, condition } => {
                let named = matches!(callee.kind, ExprKind::Name(_));
                let callee = (!named).then_some(&**callee);
                callee.into_iter().chain(values(arguments)).chain(values(condition)).collect()
            }
            ExprKind::Index(base, list) => std::iter::once(&**base).chain(values(list)).collect(),
            ExprKind::With(base, settings) => {
                std::iter::once(&**base).chain(settings.iter().map(|(_, e)| e)).collect()
            }
            ExprKind::List(items) | ExprKind::Tuple(items) | ExprKind::Set(items) => items.iter().collect(),
        }
    }

    /// Visits this expression and all that it is made of, in the order of the text.
    pub fn each<'a>(&'a self, visit: &mut impl FnMut(&'a Expr)) {
        visit(self);
        self.children().into_iter().for_each(|e| e.each(visit));
    }
}

impl Statement {
    /// The expressions of the statement that are in no other one.
    pub fn expressions(&self) -> Vec<&Expr> {
        let mut all = Vec::new();
        match &self.kind {
            StatementKind::Mode(list) => list.iter().for_each(|m| mode(m, &mut all)),
            StatementKind::Param(list) => all.extend(list.iter().map(|p| &p.value)),
            StatementKind::Data(data) => {
                match &data.source {
                    DataSource::Value(value) => all.push(value),
                    DataSource::File(_) | DataSource::Coordinates { .. } => {}
                }
                for clause in &data.clauses {
                    match clause {
                        DataClause::MaskWhere { condition, .. } => all.push(condition),
                        DataClause::Count(_)
                        | DataClause::Sum(_)
                        | DataClause::Format(_)
                        | DataClause::Key(_)
                        | DataClause::Drop(_)
                        | DataClause::MaskFile { .. } => {}
                    }
                }
            }
            StatementKind::Use(_) | StatementKind::Load { .. } => {}
            StatementKind::Model(model) => {
                all.extend(model.params.iter().flatten().filter_map(|p| p.default.as_ref()));
                model.over.iter().flatten().for_each(|m| all.extend(&m.index));
                model.items.iter().for_each(|i| item(i, &mut all));
            }
            StatementKind::Fit(fit) => {
                arguments(&fit.model.arguments, &mut all);
                all.extend(fit.targets.iter().filter_map(|(_, weight)| weight.as_ref()));
                options(&fit.options, &mut all);
            }
            StatementKind::Balance(balance) => {
                all.push(&balance.kernel);
                arguments(&balance.margins.arguments, &mut all);
                options(&balance.options, &mut all);
            }
            StatementKind::Sweep(sweep) => all.extend([&sweep.model, &sweep.range, &sweep.step]),
            StatementKind::Estimate(estimate) => {
                arguments(&estimate.model.arguments, &mut all);
                all.extend(estimate.settings.iter().map(|(_, e)| e));
                options(&estimate.options, &mut all);
            }
            StatementKind::Show(values) | StatementKind::Plot { values, .. } => all.extend(values),
            StatementKind::Save { value, .. } => all.push(value),
            StatementKind::Test(test) => {
                for line in &test.items {
                    match &line.kind {
                        TestItemKind::Expect { condition, within } => {
                            all.push(condition);
                            all.extend(within);
                        }
                        TestItemKind::Snapshot { value, within, except, .. } => {
                            all.push(value);
                            all.extend(within.iter().chain(except));
                        }
                        TestItemKind::ExpectError { .. } => {}
                    }
                }
            }
        }
        all
    }
}

fn mode<'a>(mode: &'a ModeDeclaration, all: &mut Vec<&'a Expr>) {
    all.extend(mode.sizes.iter().chain(&mode.levels));
}

fn term<'a>(term: &'a InteractionTerm, all: &mut Vec<&'a Expr>) {
    members(&term.modes, all);
}

fn members<'a>(modes: &'a [ModeRef], all: &mut Vec<&'a Expr>) {
    modes.iter().for_each(|m| all.extend(&m.index));
}

fn arguments<'a>(list: &'a [Argument], all: &mut Vec<&'a Expr>) {
    all.extend(list.iter().map(|a| &a.value));
}

fn options<'a>(options: &'a [FitOption], all: &mut Vec<&'a Expr>) {
    for value in options.iter().flat_map(|o| &o.values) {
        match value {
            OptionValue::Value(e) | OptionValue::Where(e) => all.push(e),
            OptionValue::From(_) | OptionValue::Arrow(_) => {}
        }
    }
}

fn item<'a>(item: &'a ModelItem, all: &mut Vec<&'a Expr>) {
    match &item.kind {
        ModelItemKind::Interaction(interaction) => term(interaction, all),
        ModelItemKind::Family { call, over } => {
            arguments(&call.arguments, all);
            over.iter().for_each(|modes| members(modes, all));
        }
        ModelItemKind::Without(terms) => terms.iter().for_each(|t| term(t, all)),
        ModelItemKind::Switched { interaction, condition: value }
        | ModelItemKind::Fixed { interaction, energy: value } => {
            term(interaction, all);
            all.push(value);
        }
        ModelItemKind::Learned { interaction, coefficient, statistic } => {
            term(interaction, all);
            all.extend(coefficient.index.iter().chain(statistic));
        }
        ModelItemKind::Mode(list) | ModelItemKind::Latent(list) => list.iter().for_each(|m| mode(m, all)),
        ModelItemKind::Temperature(e)
        | ModelItemKind::Algebra(e)
        | ModelItemKind::Forbid(e)
        | ModelItemKind::Mix(e) => all.push(e),
        ModelItemKind::Given(list) => {
            for (mode, value) in list {
                all.extend(mode.index.iter().chain([value]));
            }
        }
        ModelItemKind::Tie(a, b) => [a, b].into_iter().for_each(|t| term(t, all)),
        ModelItemKind::Prior { strength, toward } => {
            all.push(strength);
            toward.iter().for_each(|call| arguments(&call.arguments, all));
        }
        ModelItemKind::Smooth { interaction, along, strength } => {
            term(interaction, all);
            all.extend(along.index.iter().chain([strength]));
        }
        ModelItemKind::For { over, items, .. } => {
            all.push(over);
            items.iter().for_each(|i| self::item(i, all));
        }
    }
}
