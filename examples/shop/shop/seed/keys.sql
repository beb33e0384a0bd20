-- Keys after the rows: building an index at once is much cheaper than row by row.
ALTER TABLE settings ADD PRIMARY KEY (key);
ALTER TABLE counters ADD PRIMARY KEY (name);
ALTER TABLE customers ADD PRIMARY KEY (id);
ALTER TABLE categories ADD PRIMARY KEY (id), ADD UNIQUE (slug);
ALTER TABLE categories ADD FOREIGN KEY (parent_id) REFERENCES categories;
ALTER TABLE brands ADD PRIMARY KEY (code);
ALTER TABLE products ADD PRIMARY KEY (id), ADD UNIQUE (sku),
    ADD FOREIGN KEY (category_id) REFERENCES categories,
    ADD FOREIGN KEY (brand_code) REFERENCES brands;
ALTER TABLE warehouses ADD PRIMARY KEY (code);
ALTER TABLE stock_levels ADD PRIMARY KEY (product_id, warehouse_code),
    ADD FOREIGN KEY (product_id) REFERENCES products,
    ADD FOREIGN KEY (warehouse_code) REFERENCES warehouses;
ALTER TABLE tokens ADD PRIMARY KEY (token), ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE reviews ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (product_id) REFERENCES products,
    ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE coupons ADD PRIMARY KEY (code);
ALTER TABLE orders ADD PRIMARY KEY (id), ADD UNIQUE (number),
    ADD FOREIGN KEY (customer_id) REFERENCES customers,
    ADD FOREIGN KEY (coupon_code) REFERENCES coupons;
ALTER TABLE order_items ADD PRIMARY KEY (id),
    ADD FOREIGN KEY (order_id) REFERENCES orders,
    ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE carts ADD PRIMARY KEY (id), ADD FOREIGN KEY (customer_id) REFERENCES customers;
ALTER TABLE cart_items ADD PRIMARY KEY (cart_id, product_id),
    ADD FOREIGN KEY (cart_id) REFERENCES carts ON DELETE CASCADE,
    ADD FOREIGN KEY (product_id) REFERENCES products;
ALTER TABLE page_views ADD PRIMARY KEY (id);

CREATE INDEX tokens_customer_id_idx ON tokens (customer_id);
CREATE INDEX categories_parent_id_idx ON categories (parent_id);
CREATE INDEX products_category_id_idx ON products (category_id);
CREATE INDEX products_brand_code_idx ON products (brand_code);
CREATE INDEX products_created_at_idx ON products (created_at);
CREATE INDEX stock_levels_warehouse_code_idx ON stock_levels (warehouse_code);
CREATE INDEX order_items_order_id_idx ON order_items (order_id);
CREATE INDEX orders_placed_at_idx ON orders (placed_at);
CREATE INDEX customers_email_idx ON customers (email);
