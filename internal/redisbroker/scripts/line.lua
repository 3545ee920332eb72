-- What the scripts share that publish lines; it stands before each of them.
--
-- A line is its kind, one character, and its fields: each is its length in bytes, a
-- colon and its bytes. wire.go decodes lines, and says which fields each kind has.

local function line(kind, fields)
  local parts = { kind }
  for i, field in ipairs(fields) do
    parts[2 * i] = #field .. ':'
    parts[2 * i + 1] = field
  end
  return table.concat(parts)
end

