-- Checks X-Hub-Signature-256 in nginx, with the libcrypto that nginx has loaded anyway.
--
-- The key is set up once and the digest written as hex by nginx's own function, so that a request
-- costs three calls into libcrypto over the body in memory and one comparison in constant time.

local ffi = require "ffi"

ffi.cdef [[
void *HMAC_CTX_new(void);
const void *EVP_sha256(void);
int HMAC_Init_ex(void *ctx, const char *key, int key_length, const void *md, void *engine);
int HMAC_Update(void *ctx, const char *data, size_t length);
int HMAC_Final(void *ctx, unsigned char *mac, unsigned int *mac_length);
int CRYPTO_memcmp(const void *a, const void *b, size_t length);
unsigned char *ngx_hex_dump(unsigned char *to, const unsigned char *from, size_t length);
]]

local C = ffi.C
local context = C.HMAC_CTX_new()
local mac = ffi.new("unsigned char[32]")
local expected = ffi.new("unsigned char[71]", { string.byte("sha256=", 1, 7) })
local expected_hex = expected + 7

local signature = {}

function signature.load_secret(path)
    local file = assert(io.open(path, "rb"))
    local secret = file:read("*a")
    file:close()
    assert(#secret > 0, "an empty secret would match what anybody signs")
    assert(C.HMAC_Init_ex(context, secret, #secret, C.EVP_sha256(), nil) == 1)
end

function signature.check()
    ngx.req.read_body()
    -- nil if the body is in a file; the configuration keeps every allowed body in memory.
    local body = ngx.req.get_body_data()
    local claimed = ngx.var.http_x_hub_signature_256
    if not body or not claimed or #claimed ~= 71 then
        return ngx.exit(403)
    end
    -- Without a key it starts again with the one it has.
    local hashed = C.HMAC_Init_ex(context, nil, 0, nil, nil) == 1
        and C.HMAC_Update(context, body, #body) == 1
        and C.HMAC_Final(context, mac, nil) == 1
    C.ngx_hex_dump(expected_hex, mac, 32)
    if not hashed or C.CRYPTO_memcmp(expected, claimed, 71) ~= 0 then
        return ngx.exit(403)
    end
end

return signature
