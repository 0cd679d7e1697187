//! Any bytes as any format: an error or a tensor, never a panic.
#![no_main]

mod request;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    if let Some(Ok(tensor)) = request::answer(input) {
        assert!(tensor.total.is_finite() && tensor.total >= 0.0, "a total of {}", tensor.total);
    }
});
