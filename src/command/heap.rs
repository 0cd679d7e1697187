//! How the allocator of the system treats large blocks.

#[cfg(all(target_os = "linux", target_env = "gnu"))]
use std::hint::black_box;

/// Bytes from which a block is a mapping of its own, which goes back to the system as soon as it is free. The largest
/// that the allocator takes.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_MAPPING: i32 = 32 << 20;

/// Bytes of a large page on most processors.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const LARGE_PAGE: usize = 2 << 20;

/// Bytes of a block for which the heap has to grow, and which is less than what it grows by at first.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const FIRST: usize = 256 << 10;

/// Bytes that the allocator keeps before a block, and rounds to.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const HEADER: usize = 32;

/// Bytes of addresses that the heap begins with, in large pages where the system has them. Memory is taken where they
/// are used.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const ROOM: i32 = 128 << 20;

/// Bytes by which it grows from there, as by default.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GROWS_BY: i32 = 128 << 10;

/// Free bytes at the end of the heap from which they go back to the system.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const GIVEN_BACK: i32 = ROOM + (64 << 20);

/// Keeps what a fit frees for its next tables, and has all threads share one heap of large pages: by default blocks of
/// 128 kB go back to the system, and their pages of 4 kB are cleared and mapped anew each time, which every thread has
/// to hear of. Before other threads begin. `docs/performance.md` says what it brings.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[allow(unsafe_code)]
pub fn keep_large_blocks() {
    // SAFETY: `mallopt` sets numbers of the allocator, which it checks; of what `malloc` gives, one block is given back
    // and one is never used, and either may be null; `sbrk(0)` only says where the heap ends; and advice changes
    // nothing that is stored, whatever the addresses. All are called while there is one thread, and whatever they
    // answer, the heap works as before.
    unsafe {
        libc::mallopt(libc::M_ARENA_MAX, 1);
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_MAPPING);
        libc::mallopt(libc::M_TRIM_THRESHOLD, GIVEN_BACK);
        // a block that does not fit into what is free makes the heap grow, once by the whole room
        let before = libc::sbrk(0);
        libc::mallopt(libc::M_TOP_PAD, ROOM);
        let first = black_box(libc::malloc(FIRST));
        libc::mallopt(libc::M_TOP_PAD, GROWS_BY);
        libc::madvise(before, libc::sbrk(0).addr().saturating_sub(before.addr()), libc::MADV_HUGEPAGE);
        // addresses up to the first large page of which nothing is used stay free, so that small fits have large
        // pages, too: behind the block the allocator has written already
        let ahead = (first.addr() + FIRST + HEADER).next_multiple_of(LARGE_PAGE) - first.addr();
        libc::free(first);
        black_box(libc::malloc(ahead.saturating_sub(HEADER)));
    }
}

/// Other allocators are left as they are.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_large_blocks() {}
