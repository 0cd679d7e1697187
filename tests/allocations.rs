//! A sweep takes no memory: all of it is there before the first ones are over.

mod engine;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use engine::*;
use mba::run::{Control, Flow, Observer, Sweep, execute};

/// The system's allocator, with a count of the times it was asked.
struct Counting;

thread_local! {
    /// By thread: what waits for the test may take memory when it likes.
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

// SAFETY: every call is handed on as it is to the system's allocator, which keeps the contract.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise is passed on
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, place: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on
        unsafe { System.dealloc(place, layout) }
    }

    unsafe fn realloc(&self, place: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        ASKED.set(ASKED.get() + 1);
        // SAFETY: the caller's promise is passed on
        unsafe { System.realloc(place, layout, size) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How often memory had been asked for after each sweep.
struct Watch {
    seen: Vec<usize>,
    last: usize,
}

impl Observer for Watch {
    fn sweep(&mut self, _: &Sweep) -> Flow {
        self.seen.push(ASKED.get());
        if self.seen.len() < self.last { Flow::Continue } else { Flow::Interrupt }
    }
}

/// Sweeps that may still take memory: plain ones, and those that fill the history of the acceleration.
const WARM: usize = 25;

#[test]
fn no_sweep_takes_memory() {
    let noisy = |shape: &[usize]| {
        let mut stream = Stream(11);
        let cells: usize = shape.iter().product();
        let x: Vec<f64> = (0..cells).map(|_| (5.0 * (stream.unit() + stream.unit() - 1.0)).exp()).collect();
        tensor(shape, &x)
    };
    let cases: [(&str, &[usize], Vec<Vec<usize>>); 5] = [
        ("tables", &[8, 7, 8], body(3, 2)),
        ("a tree of tables", &[5, 5, 5, 5], vec![vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 3]]),
        ("three-mode tables", &[6, 6, 6, 6], body(4, 3)),
        ("factors", &[11, 12, 11, 12], body(4, 2)),
        ("a tree of factors", &[17, 18, 17, 18], vec![vec![0, 1], vec![1, 2], vec![2, 3], vec![0, 3]]),
    ];
    for (name, shape, scopes) in cases {
        for acceleration in [false, true] {
            let (model, tensor) = (model(shape, &refs(&scopes)), noisy(shape));
            let schedule = plan(&model, &tensor);
            // a gap of exactly zero is never met, so that every sweep is made
            let control = Control { tolerance: 0.0, acceleration, ..Control::default() };
            let mut watch = Watch { seen: Vec::with_capacity(100), last: 60 };
            execute(&schedule, &model, &tensor, &control, &mut watch).expect("a fit");
            assert_eq!(watch.seen.len(), 60, "{name}");
            let taken = watch.seen[59] - watch.seen[WARM];
            assert_eq!(taken, 0, "{name}, acceleration {acceleration}: {:?}", &watch.seen);
        }
    }
}
