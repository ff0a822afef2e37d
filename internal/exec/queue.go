package exec

import "slices"

// queue is a list that is taken from at its start and added to at its end, at little cost.
type queue[T any] struct {
	items []T
	head  int
}

func (q *queue[T]) len() int { return len(q.items) - q.head }

// all is the items, first to last. It is valid until the queue changes.
func (q *queue[T]) all() []T { return q.items[q.head:] }

func (q *queue[T]) first() T { return q.items[q.head] }

func (q *queue[T]) push(x T) { q.insert(q.len(), x) }

// insert adds x in front of item i.
func (q *queue[T]) insert(i int, x T) {
	if len(q.items) == cap(q.items) && q.head > len(q.items)/2 {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	q.items = slices.Insert(q.items, q.head+i, x)
}

func (q *queue[T]) pop() T {
	var none T
	x := q.items[q.head]
	q.items[q.head] = none
	if q.head++; q.head == len(q.items) {
		q.items, q.head = q.items[:0], 0
	}
	return x
}

func (q *queue[T]) clear() {
	clear(q.items)
	q.items, q.head = q.items[:0], 0
}
