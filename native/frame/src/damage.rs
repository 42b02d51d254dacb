//! Which pixels changed: a short list of rectangles.

use crate::rect::{Rect, Size};

/// The rectangles that changed since someone looked, never more than [`Damage::MAX_RECTS`].
///
/// It covers at least every pixel that was added and nothing outside their bounding box. When the list is
/// full, the two rectangles whose union wastes least become one, so a flood of updates costs no memory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Damage {
    rects: Vec<Rect>,
}

impl Damage {
    /// The bound on the list. Guests flush a handful of rectangles per frame; beyond that, reading a few
    /// undamaged pixels is cheaper than another system call per row.
    pub const MAX_RECTS: usize = 16;

    /// Nothing changed.
    pub fn new() -> Self {
        Self::default()
    }

    /// Everything changed on a screen of `size`.
    pub fn full(size: Size) -> Self {
        Self { rects: vec![size.rect()] }
    }

    /// Whether nothing changed.
    pub fn is_empty(&self) -> bool {
        self.rects.is_empty()
    }

    /// The rectangles. They may overlap where a union would have been larger than both.
    pub fn rects(&self) -> &[Rect] {
        &self.rects
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.rects.clear();
    }

    /// Adds the pixels of `rect`.
    pub fn add(&mut self, rect: Rect) {
        if rect.is_empty() {
            return;
        }
        let mut rect = rect;
        // A union that is no larger than its two parts costs nothing; it may in turn absorb others.
        while let Some(i) = self.rects.iter().position(|&r| waste(r, rect) <= 0) {
            rect = self.rects.swap_remove(i).union(rect);
        }
        self.rects.push(rect);
        if self.rects.len() > Self::MAX_RECTS {
            self.merge_cheapest();
        }
    }

    /// The rectangles, leaving nothing behind.
    pub fn take(&mut self) -> Vec<Rect> {
        std::mem::take(&mut self.rects)
    }

    fn merge_cheapest(&mut self) {
        let n = self.rects.len();
        let pairs = (0..n).flat_map(|i| (i + 1..n).map(move |j| (i, j)));
        if let Some((i, j)) = pairs.min_by_key(|&(i, j)| waste(self.rects[i], self.rects[j])) {
            let second = self.rects.swap_remove(j);
            let first = self.rects.swap_remove(i);
            // One fewer than before, so this ends: at worst with a single rectangle.
            self.add(first.union(second));
        }
    }
}

/// How many pixels more the union has than its two parts taken one by one.
fn waste(a: Rect, b: Rect) -> i64 {
    // Areas are below 2^64 / 2 only for screens; clamp so that any numbers are safe.
    let area = |r: Rect| i64::try_from(r.area()).unwrap_or(i64::MAX);
    area(a.union(b)).saturating_sub(area(a)).saturating_sub(area(b))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const SIDE: u32 = 64;

    fn bitmap(rects: &[Rect]) -> Vec<bool> {
        let mut map = vec![false; (SIDE * SIDE) as usize];
        for r in rects {
            for y in r.y..r.bottom() {
                for x in r.x..r.right() {
                    map[(y * SIDE + x) as usize] = true;
                }
            }
        }
        map
    }

    fn rect() -> impl Strategy<Value = Rect> {
        (0..SIDE, 0..SIDE, 0..SIDE, 0..SIDE).prop_map(|(x, y, w, h)| Rect {
            x,
            y,
            width: w.min(SIDE - x),
            height: h.min(SIDE - y),
        })
    }

    proptest! {
        /// The model is a bitmap: whatever was set is covered, and the list stays short and in the box.
        #[test]
        fn covers_what_was_added_and_stays_bounded(added in prop::collection::vec(rect(), 0..60)) {
            let mut damage = Damage::new();
            let mut around = Rect { x: 0, y: 0, width: 0, height: 0 };
            for &r in &added {
                damage.add(r);
                around = around.union(r);
                prop_assert!(damage.rects().len() <= Damage::MAX_RECTS);
            }
            for (want, have) in bitmap(&added).into_iter().zip(bitmap(damage.rects())) {
                prop_assert!(!want || have, "a pixel was lost");
            }
            prop_assert!(damage.rects().iter().all(|&r| around.contains(r) && !r.is_empty()));
            prop_assert_eq!(damage.is_empty(), added.iter().all(|r| r.is_empty()));
        }

        #[test]
        fn is_total(rects in prop::collection::vec(any::<(u32, u32, u32, u32)>(), 0..40)) {
            let mut damage = Damage::new();
            for (x, y, width, height) in rects {
                damage.add(Rect { x, y, width, height });
            }
            prop_assert!(damage.rects().len() <= Damage::MAX_RECTS);
        }
    }

    #[test]
    fn neighbours_become_one_and_strangers_stay_apart() {
        let mut damage = Damage::new();
        for x in 0..40 {
            damage.add(Rect { x, y: 0, width: 1, height: 8 });
        }
        assert_eq!(damage.rects(), [Rect { x: 0, y: 0, width: 40, height: 8 }]);
        damage.add(Rect { x: 60, y: 60, width: 2, height: 2 });
        assert_eq!(damage.rects().len(), 2);
    }

    #[test]
    fn a_rect_inside_another_adds_nothing() {
        let mut damage = Damage::full(Size { width: 64, height: 64 });
        damage.add(Rect { x: 3, y: 3, width: 9, height: 9 });
        assert_eq!(damage.rects(), [Rect { x: 0, y: 0, width: 64, height: 64 }]);
    }
}
