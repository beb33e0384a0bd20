-- Indexes for what is asked, none that nobody uses, and none twice.
CREATE EXTENSION IF NOT EXISTS pg_trgm;
CREATE INDEX products_newest_idx ON products (created_at DESC, id DESC);
DROP INDEX products_created_at_idx;
CREATE INDEX products_category_newest_idx ON products (category_id, created_at DESC, id DESC);
DROP INDEX products_category_id_idx;
CREATE INDEX products_name_trgm_idx ON products USING gin (name gin_trgm_ops);
CREATE INDEX reviews_product_id_idx ON reviews (product_id, created_at DESC, id DESC);
CREATE INDEX reviews_customer_id_idx ON reviews (customer_id);
CREATE INDEX orders_customer_id_idx ON orders (customer_id, placed_at DESC, id DESC);
CREATE INDEX orders_coupon_code_idx ON orders (coupon_code) WHERE coupon_code IS NOT NULL;
CREATE INDEX orders_total_idx ON orders (total DESC, id DESC);
CREATE INDEX order_items_product_id_idx ON order_items (product_id);
CREATE INDEX carts_customer_id_idx ON carts (customer_id);
CREATE INDEX cart_items_product_id_idx ON cart_items (product_id);
CREATE UNIQUE INDEX customers_email_key ON customers (lower(email));
DROP INDEX customers_email_idx;

ALTER TABLE page_views ALTER COLUMN id TYPE bigint;
ALTER SEQUENCE page_views_id_seq AS bigint MAXVALUE 9223372036854775807;

DELETE FROM carts WHERE updated_at < '2025-12-28' AND get_byte(uuid_send(id), 15) % 20 <> 0;
-- What lies in the others.
INSERT INTO cart_items SELECT id, 1 + get_byte(uuid_send(id), 14), 1 + get_byte(uuid_send(id), 13) % 3 FROM carts;

-- What others compute, kept here: orders by number come from a sequence, points from the loyalty service at night.
CREATE SEQUENCE IF NOT EXISTS order_numbers;
SELECT setval('order_numbers', (SELECT value FROM counters WHERE name = 'order'));
ALTER TABLE loyalty ADD PRIMARY KEY (customer_id), ADD FOREIGN KEY (customer_id) REFERENCES customers;
