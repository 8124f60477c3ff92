"""Work: projects, batches, items, slots, assignments, answers, agreement, consensus. Knows no money."""
