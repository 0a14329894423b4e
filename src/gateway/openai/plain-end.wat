;; The inner loop of the scan of JSON: sixteen bytes of a string at a time. Assembled into plain-end.ts;
;; UPDATE_DOCS=1 node --test test/docs/plain-end.test.ts does it anew.
(module
  ;; Two pages of 64 KiB: the text stands in the first, and reads of sixteen bytes may go beyond its end.
  (memory (export "memory") 2)

  (func $isHex (param $byte i32) (result i32)
    (i32.or
      (i32.lt_u (i32.sub (local.get $byte) (i32.const 0x30)) (i32.const 10))                              ;; 0 to 9
      (i32.lt_u (i32.sub (i32.or (local.get $byte) (i32.const 0x20)) (i32.const 0x61)) (i32.const 6))))   ;; a to f, A to F

  ;; The length of the escape whose backslash is at $at; 0: none that JSON knows.
  (func $escapeLength (param $at i32) (result i32)
    (local $letter i32)
    (local.set $letter (i32.load8_u offset=1 (local.get $at)))
    (if (i32.or (i32.eq (local.get $letter) (i32.const 0x22)) (i32.eq (local.get $letter) (i32.const 0x2f)))   ;; " and /
      (then (return (i32.const 2))))
    (local.set $letter (i32.sub (local.get $letter) (i32.const 0x5c)))
    (if (i32.gt_u (local.get $letter) (i32.const 25))
      (then (return (i32.const 0))))
    ;; A bit for each of \ b f n r t, counted from the backslash on.
    (if (i32.and (i32.shr_u (i32.const 0x01440441) (local.get $letter)) (i32.const 1))
      (then (return (i32.const 2))))
    (if (i32.ne (local.get $letter) (i32.const 25))   ;; u
      (then (return (i32.const 0))))
    (select (i32.const 6) (i32.const 0)
      (i32.and
        (i32.and
          (call $isHex (i32.load8_u offset=2 (local.get $at)))
          (call $isHex (i32.load8_u offset=3 (local.get $at))))
        (i32.and
          (call $isHex (i32.load8_u offset=4 (local.get $at)))
          (call $isHex (i32.load8_u offset=5 (local.get $at)))))))

  ;; The first byte from $at on, before $end, that is neither plain nor part of a whole escape: a quote, a control
  ;; character, or the backslash of an escape that is wrong or goes beyond $end. $end where there is none.
  (func (export "plainEnd") (param $at i32) (param $end i32) (result i32)
    (local $bytes v128) (local $special i32) (local $length i32)
    (loop $next
      (if (i32.ge_u (local.get $at) (local.get $end))
        (then (return (local.get $end))))
      (local.set $bytes (v128.load align=1 (local.get $at)))
      (local.set $special
        (i8x16.bitmask
          (v128.or
            (v128.or
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x22)))
              (i8x16.eq (local.get $bytes) (i8x16.splat (i32.const 0x5c))))
            (i8x16.eq (local.get $bytes) (i8x16.min_u (local.get $bytes) (i8x16.splat (i32.const 0x1f)))))))
      (if (i32.eqz (local.get $special))
        (then
          (local.set $at (i32.add (local.get $at) (i32.const 16)))
          (br $next)))
      (local.set $at (i32.add (local.get $at) (i32.ctz (local.get $special))))
      (if (i32.ge_u (local.get $at) (local.get $end))
        (then (return (local.get $end))))
      (if (i32.eq (i32.load8_u (local.get $at)) (i32.const 0x5c))
        (then
          (local.set $length (call $escapeLength (local.get $at)))
          (if (i32.and (i32.ne (local.get $length) (i32.const 0))
                (i32.le_u (i32.add (local.get $at) (local.get $length)) (local.get $end)))
            (then
              (local.set $at (i32.add (local.get $at) (local.get $length)))
              (br $next))))))
    (local.get $at)))
