//! Any bytes as any format: an error or a tensor, never a panic.
#![no_main]

use libfuzzer_sys::fuzz_target;
use mba::data::{Axis, Content, Counting, Declared, Files, Format, Request, Source, inspect, read};
use mba::model::{Levels, Order};
use mba::text::Span;

struct One(Vec<u8>);

impl Files for One {
    fn open(&self, _: &str) -> std::io::Result<Content> {
        Ok(Content::owned(self.0.clone()))
    }
}

fuzz_target!(|input: (u8, bool, Vec<u8>)| {
    let (choice, declared, bytes) = input;
    let names: Vec<&str> = Format::names().collect();
    let format = Format::named(names[usize::from(choice) % names.len()]);
    let axis = |mode: &str| Axis {
        mode: mode.into(),
        span: Span::default(),
        column: None,
        declared: if declared { Declared::Known(Levels::Counted(3)) } else { Declared::FromData },
        order: Order::Nominal,
        declared_at: None,
    };
    let counting = match choice % 3 {
        0 => Counting::Default,
        1 => Counting::Count("n".into(), Span::default()),
        _ => Counting::Sum("n".into(), Span::default()),
    };
    let request = Request {
        name: "x".into(),
        span: Span::default(),
        axes: vec![axis("a"), axis("b")],
        source: Source::File { path: "x".into(), span: Span::default() },
        format,
        key: None,
        counting,
        masks: Vec::new(),
        drop_na: choice >= 128,
    };
    if let Ok(header) = inspect(&request, &One(bytes)) {
        // a header may promise more than a fuzzer should wait for
        if header.profile.stored.bound() < 1 << 20 {
            let _ = read(&request, &header, &header.modes());
        }
    }
});
