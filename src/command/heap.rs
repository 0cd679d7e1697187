//! How the allocator of the system treats large blocks.

/// Bytes from which a block is a mapping of its own, which goes back to the system as soon as it is free. The largest
/// that the allocator takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_MAPPING: i32 = 32 << 20;

/// Free bytes at the end of the heap from which they go back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK: i32 = 64 << 20;

/// Keeps what a fit frees for its next tables, and has all threads share one heap: by default blocks of 128 kB go
/// back to the system, and their pages are cleared and mapped anew each time, which every thread has to hear of. Before
/// other threads begin. Ten modes of a million cells take 56 ms of CPU time with it and 65 without.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn keep_large_blocks() {
    // SAFETY: these set numbers of the allocator, which it checks, and are called while there is one thread. Whatever
    // they answer, the heap works as before.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, GIVEN_BACK);
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_large_blocks() {}
