-- What grew over the years.
CREATE INDEX products_ean_idx ON products (ean);
CREATE INDEX customers_phone_idx ON customers (phone);
CREATE INDEX orders_customer_id_idx ON orders (customer_id);
CREATE INDEX ix_orders_customer ON orders (customer_id);
CREATE INDEX carts_updated_at_idx ON carts (updated_at);

-- Someone read that autovacuum slows inserts down.
ALTER TABLE page_views SET (autovacuum_enabled = off);

-- Carts that were left behind are deleted at night, all over the indexes.
DELETE FROM carts WHERE updated_at < '2025-12-28' AND get_byte(uuid_send(id), 15) % 20 <> 0;

-- What lies in the others.
INSERT INTO cart_items SELECT id, 1 + get_byte(uuid_send(id), 14), 1 + get_byte(uuid_send(id), 13) % 3 FROM carts;
