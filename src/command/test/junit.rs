//! The report as JUnit XML: a suite for each program, a case for each test.

use std::time::Duration;

use quick_junit::{NonSuccessKind, Report, SerializeError, TestCase, TestCaseStatus, TestSuite};

use super::outcome::{File, Suite};
use crate::report::{Style, diagnostics};
use crate::session::testing::Kind;
use crate::text::Diagnostic;

/// The whole report. What does not hold is a failure; what could not be found out is an error.
pub fn report(suite: &Suite) -> Result<String, SerializeError> {
    let mut report = Report::new("mba test");
    let mut total = 0.0;
    for file in &suite.files {
        let mut own = TestSuite::new(file.path.as_str());
        let mut add = |name: &str, failures: &[&Diagnostic], seconds: f64| {
            let mut case = TestCase::new(name, status(failures, file));
            case.set_classname(file.path.as_str());
            case.set_time(Duration::from_secs_f64(seconds));
            own.add_test_case(case);
            total += seconds;
        };
        if !file.failures.is_empty() {
            let what = if file.checks { "(snapshots)" } else { "(program)" };
            add(what, &file.failures.iter().collect::<Vec<_>>(), 0.0);
        }
        for case in &file.cases {
            let mut failures: Vec<&Diagnostic> = case.failures.iter().collect();
            if !failures.is_empty() {
                failures.splice(0..0, &case.causes);
            }
            add(&case.name, &failures, case.seconds);
        }
        for name in &file.not_run {
            let mut case = TestCase::new(name.as_str(), TestCaseStatus::skipped());
            case.status.set_message("the program does not check");
            case.set_classname(file.path.as_str());
            own.add_test_case(case);
        }
        report.add_test_suite(own);
    }
    report.set_time(Duration::from_secs_f64(total));
    report.to_string()
}

fn status(failures: &[&Diagnostic], file: &File) -> TestCaseStatus {
    let Some(first) = failures.first() else { return TestCaseStatus::success() };
    let kind = match Kind::of(first) {
        Kind::MovedValue
        | Kind::BrokenExpectation
        | Kind::MissingSnapshot
        | Kind::UnreferencedSnapshot
        | Kind::NotConverged
        | Kind::CertificateFailed => NonSuccessKind::Failure,
        Kind::DoesNotCheck | Kind::NotComputed | Kind::TimeLimit | Kind::DamagedSnapshot | Kind::Defect => {
            NonSuccessKind::Error
        }
    };
    let mut status = TestCaseStatus::non_success(kind);
    status.set_message(first.message.as_str());
    status.set_type(Kind::of(first).words());
    let style = Style { colour: false, width: 100, unicode: true };
    let text: Vec<String> = failures.iter().map(|f| diagnostics::report(f, &file.sources, style)).collect();
    status.set_description(text.join("\n"));
    status
}
