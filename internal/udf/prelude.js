// The code that every runtime starts with, before the script of the user. It makes what
// looks like a clock follow the time of the event, and replaces the few built-in functions
// that can run without end inside of the engine, where no limit of time reaches them.
(function (now, quiet) {
  'use strict';
  const { apply, construct, defineProperty } = Reflect;
  const hide = (object, name, value) =>
    defineProperty(object, name, { value, writable: true, configurable: true, enumerable: false });

  // Date without arguments is the time of the event.
  const Native = Date;
  const Date_ = { Date: function (year, month, day, hours, minutes, seconds, ms) {
    if (new.target === undefined) return new Native(now()).toString();
    return construct(Native, arguments.length === 0 ? [now()] : arguments, new.target);
  } }.Date;
  defineProperty(Date_, 'prototype', { value: Native.prototype, writable: false });
  hide(Date_, 'now', { now() { return now(); } }.now);
  hide(Date_, 'parse', Native.parse);
  hide(Date_, 'UTC', Native.UTC);
  hide(Native.prototype, 'constructor', Date_);
  hide(globalThis, 'Date', Date_);

  // A set is filled by a loop that can be stopped.
  const NativeSet = Set, add = Set.prototype.add;
  const Set_ = { Set: function (values) {
    if (new.target === undefined) throw new TypeError("constructor requires 'new'");
    const set = construct(NativeSet, [], new.target);
    if (values !== undefined && values !== null) {
      const put = set.add === add ? null : set.add;
      for (const v of values) apply(put || add, set, [v]);
    }
    return set;
  } }.Set;
  defineProperty(Set_, 'prototype', { value: NativeSet.prototype, writable: false });
  defineProperty(Set_, Symbol.species, { get() { return this; }, configurable: true });
  hide(NativeSet.prototype, 'constructor', Set_);
  hide(globalThis, 'Set', Set_);

  // So are the lists that flat and flatMap make.
  const isArray = Array.isArray, push = Array.prototype.push;
  const flatten = (out, list, depth) => {
    for (let i = 0; i < list.length; i++) {
      if (!(i in list)) continue;
      if (depth > 0 && isArray(list[i])) flatten(out, list[i], depth - 1);
      else apply(push, out, [list[i]]);
    }
    return out;
  };
  hide(Array.prototype, 'flat', { flat(depth) {
    return flatten([], this, depth === undefined ? 1 : +depth);
  } }.flat);
  hide(Array.prototype, 'flatMap', { flatMap(f, self) {
    const out = [];
    for (let i = 0; i < this.length; i++) if (i in this) flatten(out, [apply(f, self, [this[i], i, this])], 1);
    return out;
  } }.flatMap);

  // These take iterators and objects like sets, and loop over them without a look at the
  // clock. They are younger than the language that functions may count on (saql.md 10.1).
  for (const name of ['union', 'intersection', 'difference', 'symmetricDifference', 'isSubsetOf', 'isSupersetOf', 'isDisjointFrom'])
    delete NativeSet.prototype[name];
  if (typeof Iterator === 'function') delete Iterator.prototype.drop;
  delete globalThis.SharedArrayBuffer;
  delete globalThis.Atomics;

  const console = {};
  for (const name of ['log', 'info', 'warn', 'error', 'debug', 'trace', 'assert', 'dir', 'table'])
    hide(console, name, quiet);
  hide(globalThis, 'console', console);

  for (const space of [Math, JSON, Reflect, console]) Object.freeze(space);

  // What snapshots of states need: a Map and a Set as lists, and back, and a BigInt of a text.
  const NativeMap = Map, { forEach: eachOfMap, set: put } = Map.prototype, { forEach: eachOfSet } = Set.prototype, Big = BigInt;
  return [
    (map) => { const list = []; apply(eachOfMap, map, [(v, k) => apply(push, list, [[k, v]])]); return list; },
    (set) => { const list = []; apply(eachOfSet, set, [(v) => apply(push, list, [v])]); return list; },
    (list) => { const map = new NativeMap(); for (let i = 0; i < list.length; i++) apply(put, map, list[i]); return map; },
    (list) => { const set = construct(NativeSet, [], Set_); for (let i = 0; i < list.length; i++) apply(add, set, [list[i]]); return set; },
    (text) => Big(text),
  ];
})
