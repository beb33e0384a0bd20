-- Indexes for what is asked and for foreign keys, and what the program relies on as constraints.
CREATE EXTENSION IF NOT EXISTS pg_trgm;

DROP INDEX jobs_posted_at;
CREATE INDEX jobs_newest ON jobs (posted_at DESC, id DESC);
CREATE INDEX jobs_remote ON jobs (posted_at DESC, id DESC) WHERE remote;
CREATE INDEX jobs_seniority ON jobs (seniority, posted_at DESC, id DESC);
CREATE INDEX jobs_location ON jobs (location_id, posted_at DESC, id DESC);
CREATE INDEX jobs_company ON jobs (company_id, posted_at DESC, id DESC);
CREATE INDEX jobs_title ON jobs USING gin (title gin_trgm_ops);
CREATE INDEX job_skills_skill ON job_skills (skill_id);
CREATE INDEX applications_job ON applications (job_id);
CREATE INDEX applications_user ON applications (user_id);
CREATE UNIQUE INDEX users_email ON users (email);
ALTER TABLE jobs ADD CHECK (salary_max > 0);
