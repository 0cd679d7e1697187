//! The syntax tree: what was written, with spans, before anything is looked up.

use super::span::Span;

/// A name and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub struct Ident {
    /// The name.
    pub name: String,
    /// Where.
    pub span: Span,
}

/// A string literal, escapes resolved.
#[derive(Debug, Clone, PartialEq)]
pub struct Text {
    /// The text between the quotes.
    pub value: String,
    /// Where, quotes included.
    pub span: Span,
}

/// A whole file.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// The statements that parsed, in text order.
    pub statements: Vec<Statement>,
    /// Every comment, in text order.
    pub comments: Vec<Comment>,
    /// Names that statements which did not parse would have declared.
    pub broken: Vec<String>,
}

/// A comment. Never part of the meaning, except that one may allow or deny codes.
#[derive(Debug, Clone, PartialEq)]
pub struct Comment {
    /// The text after the `#` or `##`, not trimmed.
    pub text: String,
    /// Whether it is a doc comment (`##`).
    pub doc: bool,
    /// Where, the `#` included.
    pub span: Span,
}

/// A statement with the doc comments right above it.
#[derive(Debug, Clone, PartialEq)]
pub struct Statement {
    /// What it says.
    pub kind: StatementKind,
    /// Where.
    pub span: Span,
    /// The lines of the doc comments above, without the `##`.
    pub docs: Vec<String>,
}

/// What a statement says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // named after their keywords
pub enum StatementKind {
    Mode(Vec<ModeDeclaration>),
    Param(Vec<ParamDeclaration>),
    Data(Box<DataDeclaration>),
    Use(Use),
    Model(ModelDeclaration),
    Fit(Fit),
    Load { path: Text, name: Ident },
    Balance(Balance),
    Sweep(Box<Sweep>),
    Estimate(Box<Estimate>),
    Show(Vec<Expr>),
    Save { value: Expr, path: Text },
    Plot { values: Vec<Expr>, path: Option<Text> },
    Test(Test),
}

/// `hair`, `day: 25 cyclic`, `s[L, L]: {-1, +1}`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeDeclaration {
    /// The mode, or the family of modes.
    pub name: Ident,
    /// Sizes of a family; empty for a single mode.
    pub sizes: Vec<Expr>,
    /// The levels, unless they come from the data.
    pub levels: Option<Expr>,
    /// `ordered` or `cyclic`.
    pub order: Option<Ident>,
}

/// `L = 8`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct ParamDeclaration {
    pub name: Ident,
    pub value: Expr,
}

/// `data people[hair, eye] from "people.csv" count Freq`.
#[derive(Debug, Clone, PartialEq)]
pub struct DataDeclaration {
    /// The tensor's name.
    pub name: Ident,
    /// Its modes, in the order of the file's axes.
    pub axes: Vec<Axis>,
    /// Where the numbers come from.
    pub source: DataSource,
    /// What follows the source.
    pub clauses: Vec<DataClause>,
}

/// One mode of a tensor, perhaps under another name in the file.
#[derive(Debug, Clone, PartialEq)]
pub struct Axis {
    /// The mode.
    pub mode: Ident,
    /// The column's name in the file, where it differs.
    pub column: Option<Text>,
}

/// Where the numbers of a tensor come from.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum DataSource {
    File(Text),
    Coordinates {
        coords: Text,
        values: Text,
    },
    /// A literal or a call such as `sample(model, 1000)`.
    Value(Expr),
}

/// What follows the source of a tensor.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum DataClause {
    Count(Text),
    Sum(Text),
    Format(Ident),
    Key(Text),
    Drop(Ident),
    /// `missing from` or `observed from`.
    MaskFile {
        missing: bool,
        file: ArrayFile,
        span: Span,
    },
    /// `missing where` or `observed where`.
    MaskWhere {
        missing: bool,
        condition: Expr,
        span: Span,
    },
}

/// `"m.npz"[a, b] key w`: an array of truth values over some modes.
#[derive(Debug, Clone, PartialEq)]
pub struct ArrayFile {
    /// The file.
    pub path: Text,
    /// The modes of its axes; none when they are those of the data.
    pub axes: Vec<Axis>,
    /// The name of the array in an archive.
    pub key: Option<Text>,
}

/// `use ising` or `use "other.mba"`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum Use {
    Library(Ident),
    File(Text),
}

/// `model cp(rank) over a, b { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelDeclaration {
    /// The model's name.
    pub name: Ident,
    /// `None` for a model, the parameters for a template (even when there are none).
    pub params: Option<Vec<TemplateParam>>,
    /// The modes it spans; `None` for those of the tensor it is fitted to.
    pub over: Option<Vec<ModeRef>>,
    /// What it is made of.
    pub items: Vec<ModelItem>,
}

/// A parameter of a template, with its default.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct TemplateParam {
    pub name: Ident,
    pub default: Option<Expr>,
}

/// A mode, or a member of a family: `s[i, j + 1]`.
#[derive(Debug, Clone, PartialEq)]
pub struct ModeRef {
    /// The mode or the family.
    pub name: Ident,
    /// Indices into a family.
    pub index: Vec<Expr>,
    /// Where.
    pub span: Span,
}

/// `[a b c]`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct InteractionTerm {
    pub modes: Vec<ModeRef>,
    pub span: Span,
}

/// An item of a model.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelItem {
    /// What it says.
    pub kind: ModelItemKind,
    /// Where.
    pub span: Span,
}

/// What an item of a model says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)] // named after their keywords
pub enum ModelItemKind {
    Interaction(InteractionTerm),
    /// A family or template applied to arguments, over some modes or all.
    Family {
        call: Call,
        over: Option<Vec<ModeRef>>,
    },
    Without(Vec<InteractionTerm>),
    /// `[a b] where …`: a free table switched off cell by cell.
    Switched {
        interaction: InteractionTerm,
        condition: Expr,
    },
    Fixed {
        interaction: InteractionTerm,
        energy: Expr,
    },
    /// `[a b] = learn J * …` or `learn J[a, b] * …`: the index makes one coefficient for each value it takes.
    Learned {
        interaction: InteractionTerm,
        coefficient: ModeRef,
        statistic: Option<Expr>,
    },
    Mode(Vec<ModeDeclaration>),
    Latent(Vec<ModeDeclaration>),
    Temperature(Expr),
    Algebra(Expr),
    Forbid(Expr),
    Given(Vec<(ModeRef, Expr)>),
    Tie(InteractionTerm, InteractionTerm),
    Prior {
        strength: Expr,
        toward: Option<Call>,
    },
    Smooth {
        interaction: InteractionTerm,
        along: ModeRef,
        strength: Expr,
    },
    Mix(Expr),
    For {
        names: Vec<Ident>,
        over: Expr,
        items: Vec<ModelItem>,
    },
}

/// A name applied to arguments; a bare name has none.
#[derive(Debug, Clone, PartialEq)]
pub struct Call {
    /// What is called.
    pub name: Ident,
    /// With what.
    pub arguments: Vec<Argument>,
    /// Where.
    pub span: Span,
}

/// An argument, perhaps named: `seed: 1`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Argument {
    pub name: Option<Ident>,
    pub value: Expr,
}

/// `fit M to X as name { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Fit {
    /// The model, or a template with its arguments.
    pub model: Call,
    /// The tensors, each with its weight.
    pub targets: Vec<(Ident, Option<Expr>)>,
    /// `by METHOD`.
    pub method: Option<Ident>,
    /// `as name`.
    pub name: Option<Ident>,
    /// The options in braces.
    pub options: Vec<FitOption>,
}

/// `tolerance 1e-9`, `hold_out 10% seed 1`.
#[derive(Debug, Clone, PartialEq)]
pub struct FitOption {
    /// The option.
    pub name: Ident,
    /// What follows it.
    pub values: Vec<OptionValue>,
    /// Where.
    pub span: Span,
}

/// A piece of an option.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum OptionValue {
    Value(Expr),
    Where(Expr),
    From(ArrayFile),
    Arrow(Span),
}

/// `balance K to margins(r, c) as B`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Balance {
    pub kernel: Expr,
    pub margins: Call,
    pub method: Option<Ident>,
    pub name: Option<Ident>,
    pub options: Vec<FitOption>,
}

/// `estimate M with (L = 40) by METHOD as name { … }`.
#[derive(Debug, Clone, PartialEq)]
pub struct Estimate {
    /// The model, or a template with its arguments.
    pub model: Call,
    /// Params, and the temperature, that are set for this estimate.
    pub settings: Vec<(Ident, Expr)>,
    /// `by METHOD`.
    pub method: Option<Ident>,
    /// `as name`.
    pub name: Option<Ident>,
    /// The options in braces.
    pub options: Vec<FitOption>,
}

/// `sweep M over temperature in lo .. hi by step as curve`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Sweep {
    pub model: Expr,
    pub over: Ident,
    pub range: Expr,
    pub step: Expr,
    pub name: Option<Ident>,
}

/// `test "…" { … }`.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Test {
    pub name: Text,
    pub items: Vec<TestItem>,
}

/// One line of a test.
#[derive(Debug, Clone, PartialEq)]
pub struct TestItem {
    /// What it says.
    pub kind: TestItemKind,
    /// Where.
    pub span: Span,
}

/// What a line of a test says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum TestItemKind {
    Expect { condition: Expr, within: Option<Expr> },
    ExpectError { code: Ident, program: Text },
    Snapshot { value: Expr, label: Option<Text>, within: Option<Expr>, except: Option<Expr> },
}

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub struct Expr {
    /// What it says.
    pub kind: ExprKind,
    /// Where.
    pub span: Span,
}

/// What an expression says.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub enum ExprKind {
    Number(f64),
    /// `10%`, kept as 0.1.
    Percent(f64),
    Text(String),
    Truth(bool),
    Nan,
    Missing,
    Name(String),
    Unary(Unary, Box<Expr>),
    Binary(Binary, Box<Expr>, Box<Expr>),
    If(Box<Expr>, Box<Expr>, Box<Expr>),
    /// `f(a, b | c: x)`; `condition` is what follows the bar.
    Call {
        callee: Box<Expr>,
        arguments: Vec<Argument>,
        condition: Vec<Argument>,
    },
    Field(Box<Expr>, Ident),
    Index(Box<Expr>, Vec<Argument>),
    /// `M with (L = 4)`.
    With(Box<Expr>, Vec<(Ident, Expr)>),
    /// `M at T`.
    At(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Tuple(Vec<Expr>),
    Set(Vec<Expr>),
}

/// Prefix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Unary {
    Negate,
    Plus,
    Not,
}

/// Infix operators.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs)]
pub enum Binary {
    Or,
    And,
    Approximately,
    Equal,
    Unequal,
    AtMost,
    AtLeast,
    Below,
    Above,
    In,
    Range,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
    Power,
}

impl Binary {
    /// The operator as it is written.
    pub fn symbol(self) -> &'static str {
        match self {
            Binary::Or => "or",
            Binary::And => "and",
            Binary::Approximately => "~=",
            Binary::Equal => "==",
            Binary::Unequal => "!=",
            Binary::AtMost => "<=",
            Binary::AtLeast => ">=",
            Binary::Below => "<",
            Binary::Above => ">",
            Binary::In => "in",
            Binary::Range => "..",
            Binary::Add => "+",
            Binary::Subtract => "-",
            Binary::Multiply => "*",
            Binary::Divide => "/",
            Binary::Remainder => "mod",
            Binary::Power => "^",
        }
    }
}
