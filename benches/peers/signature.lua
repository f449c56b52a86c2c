-- Checks X-Hub-Signature-256 in nginx, with the libcrypto that nginx has loaded anyway.
--
-- One call of HMAC() a request over the body in memory; the digest is fetched once, and the
-- comparison takes constant time. This is the cheapest way that Debian's packages offer.

local ffi = require "ffi"

ffi.cdef [[
typedef struct evp_md_st EVP_MD;
EVP_MD *EVP_MD_fetch(void *libctx, const char *algorithm, const char *properties);
unsigned char *HMAC(const EVP_MD *md, const void *key, int key_length, const char *data,
                    size_t data_length, unsigned char *out, unsigned int *out_length);
int CRYPTO_memcmp(const void *a, const void *b, size_t length);
]]

local C = ffi.C
local digest = C.EVP_MD_fetch(nil, "SHA256", nil)
local mac = ffi.new("unsigned char[32]")
local mac_length = ffi.new("unsigned int[1]")
local claimed = ffi.new("unsigned char[32]")
local secret

local signature = {}

function signature.load_secret(path)
    local file = assert(io.open(path, "rb"))
    secret = file:read("*a")
    file:close()
    assert(#secret > 0, "an empty secret would match what anybody signs")
end

local function hex_value(byte)
    if byte >= 48 and byte <= 57 then
        return byte - 48
    elseif byte >= 97 and byte <= 102 then
        return byte - 87
    end
    return nil
end

local function decode(header)
    if type(header) ~= "string" or #header ~= 71 or header:sub(1, 7) ~= "sha256=" then
        return false
    end
    for index = 0, 31 do
        local high, low = header:byte(8 + 2 * index, 9 + 2 * index)
        high, low = hex_value(high), hex_value(low)
        if not high or not low then
            return false
        end
        claimed[index] = high * 16 + low
    end
    return true
end

function signature.check()
    ngx.req.read_body()
    -- nil if the body is in a file; the configuration keeps every allowed body in memory.
    local body = ngx.req.get_body_data()
    if not body or not decode(ngx.var.http_x_hub_signature_256) then
        return ngx.exit(403)
    end
    C.HMAC(digest, secret, #secret, body, #body, mac, mac_length)
    if C.CRYPTO_memcmp(mac, claimed, 32) ~= 0 then
        return ngx.exit(403)
    end
end

return signature
