;; Copies strings between a guest and the provider, as Shopify's trampoline does.
(module
  (import "guest" "memory" (memory $guest 0))
  (import "provider" "memory" (memory $provider 0))
  (import "gate" "table" (table 5 funcref))
  (import "provider" "_shopify_function_alloc" (func $alloc (param i32) (result i32)))
  (import "provider" "_shopify_function_input_get_obj_prop" (func $obj_prop (param i64 i32 i32) (result i64)))
  (import "provider" "_shopify_function_input_get_utf8_str_addr" (func $str_addr (param i32) (result i32)))
  (import "provider" "_shopify_function_output_new_utf8_str" (func $new_str (param i32) (result i64)))
  (import "provider" "_shopify_function_intern_utf8_str" (func $intern_str (param i32) (result i64)))
  (import "provider" "_shopify_function_log_new_utf8_str" (func $log_str (param i32) (result i32)))

  (func $get_obj_prop (param $scope i64) (param $name i32) (param $length i32) (result i64)
    (local $key i32)
    (local.set $key (call $alloc (local.get $length)))
    (memory.copy $provider $guest (local.get $key) (local.get $name) (local.get $length))
    (call $obj_prop (local.get $scope) (local.get $key) (local.get $length)))

  (func $read_utf8_str (param $source i32) (param $destination i32) (param $length i32)
    (memory.copy $guest $provider
      (local.get $destination) (call $str_addr (local.get $source)) (local.get $length)))

  ;; An answer holds the status or id in its high half and where to copy to in its low half, which is 0 on failure.
  (func $copy_to (param $answer i64) (param $source i32) (param $length i32) (result i32)
    (if (i32.wrap_i64 (local.get $answer))
      (then (memory.copy $provider $guest
        (i32.wrap_i64 (local.get $answer)) (local.get $source) (local.get $length))))
    (i32.wrap_i64 (i64.shr_u (local.get $answer) (i64.const 32))))

  (func $output_new_utf8_str (param $source i32) (param $length i32) (result i32)
    (call $copy_to (call $new_str (local.get $length)) (local.get $source) (local.get $length)))

  (func $intern_utf8_str (param $source i32) (param $length i32) (result i32)
    (call $copy_to (call $intern_str (local.get $length)) (local.get $source) (local.get $length)))

  ;; The log is a ring: five words say how much of the source to skip, and where its two parts go.
  (func $log_new_utf8_str (param $source i32) (param $length i32)
    (local $area i32)
    (local.set $area (call $log_str (local.get $length)))
    (local.set $source (i32.add (local.get $source) (i32.load $provider (local.get $area))))
    (memory.copy $provider $guest
      (i32.load $provider offset=4 (local.get $area))
      (local.get $source)
      (i32.load $provider offset=8 (local.get $area)))
    (memory.copy $provider $guest
      (i32.load $provider offset=12 (local.get $area))
      (i32.add (local.get $source) (i32.load $provider offset=8 (local.get $area)))
      (i32.load $provider offset=16 (local.get $area))))

  (elem (i32.const 0)
    $get_obj_prop $read_utf8_str $output_new_utf8_str $intern_utf8_str $log_new_utf8_str))
