;; The functions a guest imports that move strings between its memory and the provider's.
;;
;; A guest can only be made once its imports exist, and these need its memory. So the guest is given these gates, which
;; call through a table, and the table is filled by copier.wat as soon as the guest is there.
(module
  (type $prop (func (param i64 i32 i32) (result i64)))
  (type $read (func (param i32 i32 i32)))
  (type $write (func (param i32 i32) (result i32)))
  (type $log (func (param i32 i32)))
  (table (export "table") 5 funcref)
  (func (export "shopify_function_input_get_obj_prop") (type $prop)
    (call_indirect (type $prop) (local.get 0) (local.get 1) (local.get 2) (i32.const 0)))
  (func (export "shopify_function_input_read_utf8_str") (type $read)
    (call_indirect (type $read) (local.get 0) (local.get 1) (local.get 2) (i32.const 1)))
  (func (export "shopify_function_output_new_utf8_str") (type $write)
    (call_indirect (type $write) (local.get 0) (local.get 1) (i32.const 2)))
  (func (export "shopify_function_intern_utf8_str") (type $write)
    (call_indirect (type $write) (local.get 0) (local.get 1) (i32.const 3)))
  (func (export "shopify_function_log_new_utf8_str") (type $log)
    (call_indirect (type $log) (local.get 0) (local.get 1) (i32.const 4))))
