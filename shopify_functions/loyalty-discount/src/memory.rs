//! An allocator that only ever hands out memory.
//!
//! A run lasts a few milliseconds and its memory is thrown away with it, so giving memory back is wasted work: without
//! it a run spends fewer instructions and the module is a tenth smaller.

use core::alloc::{GlobalAlloc, Layout};
use core::arch::wasm32::{memory_grow, memory_size};
use core::cell::Cell;
use core::ptr::null_mut;

const PAGE: usize = 65_536;

struct Forward {
    /// The first free byte; 0 before the first allocation.
    next: Cell<usize>,
    /// The first byte beyond the memory obtained so far.
    end: Cell<usize>,
}

// SAFETY: the module runs on one thread; functions have no other.
unsafe impl Sync for Forward {}

// SAFETY: blocks are aligned, lie in memory that was grown for them alone, and are never handed out twice.
unsafe impl GlobalAlloc for Forward {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let start = self.next.get().next_multiple_of(layout.align());
        let Some(stop) = start.checked_add(layout.size()) else {
            return null_mut();
        };
        if stop <= self.end.get() && self.next.get() > 0 {
            self.next.set(stop);
            return start as *mut u8;
        }
        self.alloc_in_new_pages(layout)
    }

    unsafe fn dealloc(&self, _: *mut u8, _: Layout) {}

    /// The block that was handed out last grows in place, which is what a text under construction asks for.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        let start = block as usize;
        if start + layout.size() == self.next.get() && size <= self.end.get() - start {
            self.next.set(start + size);
            return block;
        }
        // SAFETY: the alignment is the one the block was made with.
        let layout_wanted = unsafe { Layout::from_size_align_unchecked(size, layout.align()) };
        let wanted = unsafe { self.alloc(layout_wanted) };
        if !wanted.is_null() {
            // SAFETY: both blocks hold that many bytes and do not overlap.
            unsafe { core::ptr::copy_nonoverlapping(block, wanted, layout.size().min(size)) };
        }
        wanted
    }
}

impl Forward {
    #[cold]
    #[inline(never)]
    fn alloc_in_new_pages(&self, layout: Layout) -> *mut u8 {
        let pages = layout.size().div_ceil(PAGE);
        let grown_from = memory_grow(0, pages);
        if grown_from == usize::MAX {
            return null_mut();
        }
        // Memory that somebody else grew in between belongs to them.
        let start = match grown_from * PAGE == self.end.get() {
            true => self.next.get().next_multiple_of(layout.align()),
            false => grown_from * PAGE,
        };
        self.next.set(start + layout.size());
        self.end.set(memory_size(0) * PAGE);
        start as *mut u8
    }
}

#[global_allocator]
static MEMORY: Forward = Forward {
    next: Cell::new(0),
    end: Cell::new(0),
};
